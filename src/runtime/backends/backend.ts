// What a context needs of a device: load a compiled segment, run it, let go of it.
// Not a driver: a backend only makes the calls of its driver's uAPI.
import { AccelError } from '../../base/errors.js';
import type { TypedArray } from '../../compiler/ir/index.js';
import type { DeviceSegment } from '../../compiler/targets/program.js';
import type { DispatchReport } from '../stats.js';

/** Values of a dispatch by tensor name, row-major. */
export type Values = Map<string, TypedArray>;

/** A segment in device memory. */
export interface LoadedSegment extends AsyncDisposable {
  /**
   * Packs the segment's inputs from `values`, runs it, adds its outputs to `values`. One run at a time.
   * @throws AccelError as the driver's calls; the segment stays usable unless the device is gone
   */
  run(values: Values, report: DispatchReport): Promise<void>;
}

export interface Backend {
  /** `nvdla`: the kind of its segments and the name of its driver. */
  readonly kind: DeviceSegment['kind'];
  /**
   * Allocates and maps the segment's buffers and writes what stays.
   * @throws AccelError with nothing left behind
   */
  load(segment: DeviceSegment): Promise<LoadedSegment>;
}

/** For a backend that is handed a segment of another's. */
export function wrongSegment(backend: Backend, segment: DeviceSegment): AccelError {
  return new AccelError('EINVAL', {
    call: 'build',
    field: 'segment',
    reason: `for ${segment.kind}, the device is ${backend.kind}`,
  });
}
