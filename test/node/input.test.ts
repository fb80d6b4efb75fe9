// Input files: pictures are prepared to the very bytes of the reference arrays; bad files are refused by name.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AccelError } from '../../src/base/index.js';
import { calibrationInputs, loadInput } from '../../src/node/input/load.js';
import { decodePicture } from '../../src/node/input/picture.js';
import { areaAverage, preparePicture } from '../../src/node/input/prepare.js';
import {
  MODELS_FOLDER,
  readSidecar,
  sidecarFor,
  type PicturePreparation,
  type Sidecar,
} from '../../src/node/input/sidecar.js';
import { needsShared, shared } from '../support/shared.js';

interface Case {
  readonly name: string;
  readonly inputs: Record<string, { file: string; type: string; shape: number[] }>;
}
interface Model {
  readonly name: string;
  readonly cases: Case[];
}

const pictures: Record<string, string> = {
  chelsea: 'chelsea.png',
  coffee: 'coffee.png',
  astronaut: 'astronaut.png',
  rocket: 'rocket.jpg',
  flower: 'flower.jpg',
};
const folder = mkdtempSync(join(tmpdir(), 'accel-input-'));
const file = (name: string, contents: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
};
const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof AccelError && pattern.test(error.message) && !error.message.includes('\n');

describe('pictures prepared by the sidecars', needsShared('models/models.json'), () => {
  const path = shared('models/models.json');
  const { models } =
    path === undefined ? { models: [] } : (JSON.parse(readFileSync(path, 'utf8')) as { models: Model[] });
  for (const model of models) {
    for (const { name, inputs } of model.cases.filter((entry) => entry.name in pictures)) {
      it(`${model.name} ${name} equals the reference input byte for byte`, () => {
        const [inputName, input] = Object.entries(inputs)[0]!;
        const array = loadInput(
          shared(`models/samples/${pictures[name]!}`)!,
          { name: inputName, dataType: input.type, shape: input.shape },
          sidecarFor(`${model.name}.onnx`),
        );
        const expected = readFileSync(shared(`models/${input.file}`)!);
        assert.equal(
          Buffer.compare(Buffer.from(array.buffer, array.byteOffset, array.byteLength), expected),
          0,
        );
      });
    }
  }
  it('covers the picture cases of five models', () => {
    const count = models.flatMap((model) => model.cases).filter((entry) => entry.name in pictures).length;
    assert.equal(count, 13);
  });
});

describe('area averaging', () => {
  it('takes the plain mean of every source pixel that a target pixel touches', () => {
    const picture = { width: 3, height: 1, channels: 1, samples: Uint8Array.of(10, 20, 60) } as const;
    // Two targets over three pixels: [0, 1.5) touches 10 and 20, [1.5, 3) touches 20 and 60.
    assert.deepEqual(
      [...areaAverage(picture, { x: 0, y: 0, width: 3, height: 1 }, 2, 1)],
      [(10 + 20) / 2, (20 + 60) / 2],
    );
  });

  it('repeats pixels when the target is larger', () => {
    const picture = { width: 2, height: 1, channels: 1, samples: Uint8Array.of(0, 100) } as const;
    assert.deepEqual([...areaAverage(picture, { x: 0, y: 0, width: 2, height: 1 }, 4, 1)], [0, 0, 100, 100]);
  });
});

describe('a picture of ink on paper', () => {
  const ink = decodePicture(readFileSync(join(MODELS_FOLDER, 'samples/digits/seven.pgm')), 'seven.pgm');
  const preparation = readSidecar(join(MODELS_FOLDER, 'mnist-8.accel.json')).inputs[
    'Input3'
  ] as PicturePreparation;

  it('is inverted for a model that wants a dark background', () => {
    assert.equal(ink.samples[0], 255);
    assert.equal(preparePicture(ink, preparation, 'float32')[0], 0);
  });

  it('is left as it is when its border is dark already', () => {
    const inverted = { ...ink, samples: ink.samples.map((value) => 255 - value) };
    assert.deepEqual(
      preparePicture(inverted, preparation, 'float32'),
      preparePicture(ink, preparation, 'float32'),
    );
  });
});

describe('picture files', () => {
  it('reads text PGM with comments, and larger maxima scaled to 255', () => {
    const bytes = new TextEncoder().encode('P2 # two pixels\n2 1\n# half and full\n1023\n512 1023\n');
    assert.deepEqual([...decodePicture(bytes, 'x.pgm').samples], [128, 255]);
  });

  it('reads colour PPM', () => {
    const bytes = Uint8Array.of(...new TextEncoder().encode('P6 1 1 255\n'), 1, 2, 3);
    assert.deepEqual(decodePicture(bytes, 'x.ppm'), {
      width: 1,
      height: 1,
      channels: 3,
      samples: Uint8Array.of(1, 2, 3),
    });
  });

  const png = readFileSync(join(MODELS_FOLDER, 'samples/chelsea.png'));
  const jpeg = readFileSync(join(MODELS_FOLDER, 'samples/rocket.jpg'));
  const huge = Uint8Array.from(png.subarray(0, 64));
  new DataView(huge.buffer).setUint32(16, 0x7fffffff);
  const bad: [string, Uint8Array, RegExp][] = [
    ['a PNG cut short', png.subarray(0, 5000), /^EINVAL: .*cannot be decoded/],
    ['a JPEG cut in its header', jpeg.subarray(0, 100), /^EINVAL: .*cannot be decoded/],
    ['a PNG that claims 2^31 columns', huge, /^EINVAL: .*2147483647 x 300 pixels/],
    [
      'a PGM with too few samples',
      new TextEncoder().encode('P5 9 9 255\nabc'),
      /3 bytes of samples, 81 were expected/,
    ],
    ['a PGM cut in its header', new TextEncoder().encode('P5 9 '), /a number was expected/],
    ['something else', Uint8Array.of(1, 2, 3, 4), /is no PNG, JPEG, PGM or PPM file/],
  ];
  for (const [what, bytes, pattern] of bad)
    it(`refuses ${what} in one line`, () => {
      assert.throws(() => decodePicture(bytes, 'bad'), refusal(pattern));
    });
});

describe('raw files', () => {
  const input = { name: 'x', dataType: 'int16', shape: [1, 3] };

  it('are read as little-endian elements of the input type', () => {
    const path = file('x.bin', Uint8Array.of(1, 0, 255, 255, 0, 128));
    assert.deepEqual(loadInput(path, input, undefined), Int16Array.of(1, -1, -32768));
  });

  it('must have exactly the bytes of the tensor', () => {
    const path = file('short.bin', Uint8Array.of(1, 0, 255));
    assert.throws(
      () => loadInput(path, input, undefined),
      refusal(/3 bytes; input "x" is int16 \[1,3\], 6 bytes/),
    );
  });

  it('must exist', () => {
    assert.throws(
      () => loadInput(join(folder, 'none.bin'), input, undefined),
      refusal(/ENOENT: .*none\.bin: there is no such file/),
    );
  });
});

describe('sidecars', () => {
  const shape = { name: 'input', dataType: 'float32', shape: [1, 32, 32, 3] };

  it('are needed for pictures', () => {
    assert.throws(
      () => loadInput(join(MODELS_FOLDER, 'samples/chelsea.png'), shape, undefined),
      refusal(/has no sidecar.*give a raw \.bin file/),
    );
  });

  it('must prepare as many elements as the model takes', () => {
    assert.throws(
      () =>
        loadInput(
          join(MODELS_FOLDER, 'samples/chelsea.png'),
          { ...shape, shape: [1, 32, 32, 1] },
          sidecarFor(join(MODELS_FOLDER, 'resnet8-cifar10-fp32.onnx')),
        ),
      refusal(/prepares 3072 elements, the model takes \[1,32,32,1\], 1024/),
    );
  });

  const wrong: [string, string, RegExp][] = [
    ['text that is not JSON', '{', /wrong\.accel\.json/],
    [
      'a member that is not known',
      '{"inputs":{"x":{"widht":3}}}',
      /inputs\.x\.widht: is none of width, height/,
    ],
    ['a size of 0', '{"inputs":{"x":{"width":0,"height":1,"colour":"grey","layout":"NHWC"}}}', /width: is 0/],
    ['an unknown colour', '{"inputs":{"x":{"width":1,"height":1,"colour":"red"}}}', /none of rgb, bgr, grey/],
    [
      'a divisor of 0',
      '{"inputs":{"x":{"width":1,"height":1,"colour":"grey","layout":"NHWC","std":0}}}',
      /std: is 0/,
    ],
    [
      'a mean for the wrong number of channels',
      '{"inputs":{"x":{"width":1,"height":1,"colour":"grey","layout":"NHWC","mean":[1,2]}}}',
      /has 2 numbers for 1 channels/,
    ],
  ];
  for (const [what, text, pattern] of wrong)
    it(`are refused with ${what}`, () => {
      assert.throws(() => readSidecar(file('wrong.accel.json', text)), refusal(pattern));
    });

  it('name calibration pictures: each as it is, mirrored and cropped', () => {
    const sidecar = sidecarFor(join(MODELS_FOLDER, 'resnet8-cifar10-fp32.onnx')) as Sidecar;
    const samples = calibrationInputs(sidecar, [shape]);
    assert.equal(samples.length, 3 * 2 * (1 + 3));
    const [first, , , , flipped] = samples.map((sample) => sample['input'] as Float32Array);
    assert.equal(first!.length, 3072);
    assert.notDeepEqual(first, flipped);
    assert.ok(
      Math.abs(first![0]! - flipped![31 * 3]!) < 20,
      'the left edge is the mirror image of the right',
    );
  });
});
