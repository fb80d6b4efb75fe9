// Loadables read and written: the vendor's files, files made here, and files that are wrong.
// Not what is inside the blobs, and not a run: see test/runtime.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AccelError } from '../../src/base/errors.js';
import { Builder } from '../../src/compiler/loadable/builder.js';
import { type Loadable, readLoadable, writeLoadable } from '../../src/compiler/loadable/index.js';
import { everyPart, FLATBUFS, memory, vendorLoadables } from '../support/loadables.js';
import { needsShared } from '../support/shared.js';

/** The error that reading `loadable`, with some of its parts replaced, ends in. */
function refusal(parts: Partial<Loadable>): AccelError {
  try {
    readLoadable(writeLoadable({ ...everyPart(), ...parts }));
  } catch (error) {
    assert.ok(error instanceof AccelError);
    return error;
  }
  assert.fail('it was read');
}

describe('a loadable', () => {
  it('is read as it was written', () => {
    assert.deepEqual(readLoadable(writeLoadable(everyPart())), everyPart());
  });

  it('is written to the same bytes again', () => {
    const bytes = writeLoadable(everyPart());
    assert.deepEqual(writeLoadable(readLoadable(bytes)), bytes);
  });

  it('of the vendor is read, and written with the same contents', needsShared(FLATBUFS), () => {
    const files = vendorLoadables();
    assert.equal(files.length, 15);
    for (const { bytes } of files) {
      const loadable = readLoadable(bytes);
      assert.deepEqual(readLoadable(writeLoadable(loadable)), loadable);
    }
  });

  it("of the vendor's own writer is written byte for byte", needsShared(FLATBUFS), () => {
    const { bytes } = vendorLoadables().find(({ name }) => name === 'NN_L0_0_fbuf')!;
    assert.deepEqual(writeLoadable(readLoadable(bytes)), bytes);
  });
});

describe('a wrong loadable', () => {
  const [task, second] = everyPart().task_list;
  const [first, input, output] = everyPart().memory_list;
  const cases: readonly [string, Partial<Loadable>, RegExp][] = [
    ['an id that is no position', { memory_list: [memory(1)] }, /memory_list\[0\]\.id: 1/],
    [
      'an address of a memory that is not there',
      { address_list: [{ id: 0, mem_id: 3, offset: 0, size: 0 }] },
      /address_list\[0\]\.mem_id: 3, memory_list has 3/,
    ],
    [
      'an address beyond its memory',
      { address_list: [{ id: 0, mem_id: 1, offset: 4097, size: 0 }] },
      /address_list\[0\]\.offset: 4097 of a memory of 4096/,
    ],
    [
      'a task with an unknown address',
      { task_list: [{ ...task!, address_list: [2] }, second!] },
      /task_list\[0\]\.address_list\[0\]: 2, address_list has 2/,
    ],
    [
      'a task with an unknown event',
      { task_list: [{ ...task!, post_actions: [9] }, second!] },
      /task_list\[0\]\.post_actions\[0\]: 9, event_list has 2/,
    ],
    [
      'a submission of an unknown task',
      { submit_list: [{ id: 0, task_id: [2] }] },
      /submit_list\[0\]\.task_id\[0\]: 2/,
    ],
    [
      'contents that are no blob',
      { memory_list: [{ ...first!, contents: ['a', 'b'] }, input!, output!] },
      /memory_list\[0\]\.contents\[1\]: there is no blob "b"/,
    ],
    [
      'contents beyond their memory',
      { memory_list: [{ ...first!, size: 0xf000_0000, offsets: [0xefff_fffe, 0] }, input!, output!] },
      /memory_list\[0\]\.offsets\[0\]: 3 bytes at 4026531838/,
    ],
    [
      'contents without an offset',
      { memory_list: [{ ...first!, offsets: [0] }, input!, output!] },
      /memory_list\[0\]\.offsets: 1 for 2 contents/,
    ],
    [
      'two blobs of one name',
      { blobs: [everyPart().blobs[0]!, everyPart().blobs[0]!] },
      /blobs\[1\]\.name: a second "a"/,
    ],
    [
      'a gap in the inputs',
      { memory_list: [first!, { ...input!, bind_id: 1 }, output!] },
      /memory_list\[1\]\.bind_id: 1, there are 1/,
    ],
    [
      'an output without a tensor',
      { memory_list: [first!, input!, { ...output!, tensor_desc_id: 2 }] },
      /memory_list\[2\]\.tensor_desc_id: 2/,
    ],
    [
      'a tensor larger than its memory',
      {
        tensor_desc_list: [
          everyPart().tensor_desc_list[0]!,
          { ...everyPart().tensor_desc_list[1]!, size: 33 },
        ],
      },
      /tensor_desc_list\[1\]\.size: 33 bytes at 4064/,
    ],
    [
      'a tensor without elements',
      {
        tensor_desc_list: [everyPart().tensor_desc_list[0]!, { ...everyPart().tensor_desc_list[1]!, h: -1 }],
      },
      /tensor_desc_list\[1\]\.h: -1/,
    ],
    [
      'a relocation beyond its memory',
      { reloc_list: [{ ...everyPart().reloc_list[0]!, offset: 0xffff_fffd }] },
      /reloc_list\[0\]\.offset/,
    ],
  ];
  for (const [name, parts, message] of cases)
    it(`with ${name} is EINVAL that names it`, () => {
      const error = refusal(parts);
      assert.equal(error.code, 'EINVAL');
      assert.equal(error.call, 'readLoadable');
      assert.match(error.message, message);
    });

  it('of another version of the schema is EOPNOTSUPP', () => {
    const bytes = writeLoadable(everyPart());
    const root = new DataView(bytes.buffer).getUint32(0, true);
    bytes[root + 5 + 1] = 8;
    assert.throws(() => readLoadable(bytes), {
      code: 'EOPNOTSUPP',
      field: 'version',
      reason: '0.8.0; 0.7.0 is what we read',
    });
  });

  it('that is cut anywhere is EINVAL', () => {
    const bytes = writeLoadable(everyPart());
    for (let length = 0; length < bytes.length; length++)
      assert.throws(() => readLoadable(bytes.subarray(0, length)), { name: 'AccelError', code: 'EINVAL' });
  });

  it('that is something else is EINVAL', () => {
    const text = new TextEncoder().encode(
      'This is not a loadable, and quite long enough to be taken for one. '.repeat(9),
    );
    assert.throws(() => readLoadable(text), { name: 'AccelError', code: 'EINVAL' });
    assert.throws(() => readLoadable(new Uint8Array(64)), { name: 'AccelError', code: 'EINVAL' });
  });

  it('that refers to one part again and again is refused before it fills the memory', () => {
    // A name of 60,000 bytes as the contents of 1,000 places, in a file of 65,000 bytes.
    const out = new Builder();
    const contents = out.refVector(new Array<number>(1000).fill(out.string('n'.repeat(60_000))));
    out.startTable();
    out.ref(5, contents);
    const memories = out.refVector([out.endTable(9)]);
    out.startTable();
    out.ref(2, memories);
    out.struct(0, [0, 7, 0]);
    const bytes = out.finish(out.endTable(9), 'NVDA');
    assert.ok(bytes.length < 65_000);
    assert.throws(() => readLoadable(bytes), {
      code: 'EINVAL',
      reason: 'its parts lie on top of each other',
    });
  });
});

describe('bytes of a loadable at random', () => {
  const check = (original: Uint8Array, runs: number): void => {
    const change = fc.tuple(fc.nat(original.length - 1), fc.nat(255));
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 8 }),
        fc.nat(original.length),
        (changes, cut) => {
          const bytes = original.slice(0, cut % 4 === 0 ? cut : original.length);
          for (const [at, value] of changes) bytes[at] = value;
          try {
            readLoadable(bytes);
          } catch (error) {
            assert.ok(error instanceof AccelError, String(error));
            assert.ok(error.field !== undefined && error.reason !== undefined, error.message);
          }
        },
      ),
      { numRuns: runs },
    );
  };

  it('are read or refused with field and reason', () => check(writeLoadable(everyPart()), 5000));

  it('of the vendor are too', needsShared(FLATBUFS), () => {
    const { bytes } = vendorLoadables().find(({ name }) => name === 'SDP_X1_L0_0_small_fbuf')!;
    check(bytes, 3000);
  });
});
