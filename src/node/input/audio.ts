// A recording to the windows a model takes, one per inference: new samples behind some of the ones before, or log-mel frames.
// Not the frames themselves: log-mel.ts.
import { AccelError } from '../../base/errors.js';
import { readFile, type InputDescriptor } from './load.js';
import { logMelFrames } from './log-mel.js';
import type { AudioPreparation } from './sidecar.js';
import { decodeWav } from './wav.js';

/**
 * The windows of the recording at `path`, each as many float32 as the input has: `context` samples already seen, then new
 * ones; before the beginning and behind the end is silence. Or frame behind frame, where the model takes those.
 * @throws AccelError EINVAL with the file: no recording, another rate, windows of another size than the input
 */
export function audioWindows(
  path: string,
  preparation: AudioPreparation,
  input: InputDescriptor,
): Float32Array[] {
  const refuse = (reason: string): never => {
    throw new AccelError('EINVAL', { field: path, reason });
  };
  const { rate, context, hop, logMel } = preparation;
  const count = input.shape.reduce((product, size) => product * size, 1);
  const length = logMel === undefined ? context + hop : logMel.frames * logMel.bands;
  if (input.dataType !== 'float32' || count !== length)
    refuse(
      `windows are ${length} float32; input "${input.name}" is ${input.dataType} [${input.shape.join(',')}]`,
    );
  const recording = decodeWav(readFile(path), path);
  if (recording.rate !== rate)
    refuse(`${recording.rate} samples per second; input "${input.name}" takes ${rate}: resample it first`);
  const { samples } = recording;
  if (logMel !== undefined) {
    const frames = logMelFrames(samples, { rate, hop, ...logMel });
    return Array.from({ length: Math.max(0, frames.length - logMel.frames + 1) }, (_, index) => {
      const window = new Float32Array(count);
      for (let i = 0; i < logMel.frames; i++) window.set(frames[index + i]!, i * logMel.bands);
      return window;
    });
  }
  return Array.from({ length: Math.ceil(samples.length / hop) }, (_, index) => {
    const window = new Float32Array(count);
    const first = index * hop - context;
    window.set(samples.subarray(Math.max(0, first), index * hop + hop), Math.max(0, -first));
    return window;
  });
}
