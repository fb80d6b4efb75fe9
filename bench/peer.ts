// The peer: ONNX Runtime on the CPU. Absent where it is not installed; then ratios cannot be given.
// Not a reference for results: its optimised int8 product saturates on some CPUs.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { InferenceSession, Tensor } from 'onnxruntime-node';

export type Ort = typeof import('onnxruntime-node');

export async function loadOrt(): Promise<Ort> {
  try {
    return await import('onnxruntime-node');
  } catch (cause) {
    throw new Error('the benchmarks compare with onnxruntime-node: npm install onnxruntime-node', { cause });
  }
}

export function session(ort: Ort, model: Uint8Array, threads = 1): Promise<InferenceSession> {
  return ort.InferenceSession.create(model, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
}

/** A model with one Add of two scalars: what a call of the peer costs when there is nothing to do. */
export function trivialModel(): Uint8Array {
  const message = (write: (writer: BinaryWriter) => void): Uint8Array => {
    const writer = new BinaryWriter();
    write(writer);
    return writer.finish();
  };
  const text = (writer: BinaryWriter, field: number, value: string): BinaryWriter =>
    writer.tag(field, WireType.LengthDelimited).string(value);
  const sub = (writer: BinaryWriter, field: number, bytes: Uint8Array): BinaryWriter =>
    writer.tag(field, WireType.LengthDelimited).bytes(bytes);
  const dimension = message((w) => w.tag(1, WireType.Varint).int64(1));
  const shape = message((w) => sub(w, 1, dimension));
  const tensorType = message((w) => sub(w.tag(1, WireType.Varint).int32(1), 2, shape));
  const type = message((w) => sub(w, 1, tensorType));
  const value = (name: string): Uint8Array => message((w) => sub(text(w, 1, name), 2, type));
  const node = message((w) => text(text(text(text(w, 1, 'a'), 1, 'b'), 2, 'c'), 4, 'Add'));
  const graph = message((w) => {
    sub(w, 1, node);
    text(w, 2, 'trivial');
    sub(sub(w, 11, value('a')), 11, value('b'));
    sub(w, 12, value('c'));
  });
  const opset = message((w) => w.tag(2, WireType.Varint).int64(13));
  return message((w) => sub(sub(w.tag(1, WireType.Varint).int64(8), 7, graph), 8, opset));
}

export type { InferenceSession, Tensor };
