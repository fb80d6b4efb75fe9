// Writes small ONNX files for tests, message by message.
// Not a serialiser of our graphs: tests use it to make files that exporters would, and broken ones.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

export interface TensorSpec {
  readonly name?: string;
  readonly dims: readonly number[];
  /** TensorProto.DataType: 1 float, 3 int8, 6 int32, 7 int64. */
  readonly type: number;
  readonly raw?: Uint8Array;
  readonly floats?: readonly number[];
  readonly ints?: readonly number[];
  readonly external?: string;
}

export type AttributeSpec =
  number | string | readonly number[] | { float: number } | { tensor: TensorSpec } | { graph: GraphSpec };

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeSpec>>;
}

export interface GraphSpec {
  readonly nodes: readonly NodeSpec[];
  /** Name to shape; a string is a symbolic dimension. All float unless `types` says otherwise. */
  readonly inputs?: Readonly<Record<string, readonly (number | string)[]>>;
  readonly outputs: readonly string[];
  readonly types?: Readonly<Record<string, number>>;
  readonly initializers?: readonly TensorSpec[];
}

function message(writer: BinaryWriter, field: number, body: (writer: BinaryWriter) => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  body(writer);
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function int(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).int64(value);
}

export function writeTensor(writer: BinaryWriter, tensor: TensorSpec): void {
  for (const dim of tensor.dims) int(writer, 1, dim);
  int(writer, 2, tensor.type);
  text(writer, 8, tensor.name ?? '');
  if (tensor.raw !== undefined) writer.tag(9, WireType.LengthDelimited).bytes(tensor.raw);
  if (tensor.floats !== undefined)
    message(writer, 4, (w) => tensor.floats!.forEach((value) => w.float(value)));
  if (tensor.ints !== undefined)
    message(writer, tensor.type === 7 ? 7 : 5, (w) => tensor.ints!.forEach((value) => w.int64(value)));
  if (tensor.external !== undefined) {
    message(writer, 13, (w) => {
      text(w, 1, 'location');
      text(w, 2, tensor.external!);
    });
    int(writer, 14, 1);
  }
}

function writeAttribute(writer: BinaryWriter, name: string, value: AttributeSpec): void {
  text(writer, 1, name);
  const type = (n: number) => int(writer, 20, n);
  if (typeof value === 'number') {
    int(writer, 3, value);
    type(2);
  } else if (typeof value === 'string') {
    text(writer, 4, value);
    type(3);
  } else if ('float' in value) {
    writer.tag(2, WireType.Bit32).float(value.float);
    type(1);
  } else if ('tensor' in value) {
    message(writer, 5, (w) => writeTensor(w, value.tensor));
    type(4);
  } else if ('graph' in value) {
    message(writer, 6, (w) => writeGraph(w, value.graph));
    type(5);
  } else {
    for (const entry of value) int(writer, 8, entry);
    type(7);
  }
}

function writeValue(
  writer: BinaryWriter,
  name: string,
  type: number,
  shape: readonly (number | string)[] | undefined,
): void {
  text(writer, 1, name);
  message(writer, 2, (w) =>
    message(w, 1, (t) => {
      int(t, 1, type);
      if (shape === undefined) return;
      message(t, 2, (s) => {
        for (const dim of shape)
          message(s, 1, (d) => (typeof dim === 'number' ? int(d, 1, dim) : text(d, 2, dim)));
      });
    }),
  );
}

function writeGraph(writer: BinaryWriter, graph: GraphSpec): void {
  for (const node of graph.nodes) {
    message(writer, 1, (w) => {
      for (const input of node.inputs) text(w, 1, input);
      for (const output of node.outputs) text(w, 2, output);
      text(w, 3, node.name ?? '');
      text(w, 4, node.op);
      for (const [name, value] of Object.entries(node.attributes ?? {}))
        message(w, 5, (a) => writeAttribute(a, name, value));
      if (node.domain !== undefined) text(w, 7, node.domain);
    });
  }
  text(writer, 2, 'test');
  for (const tensor of graph.initializers ?? []) message(writer, 5, (w) => writeTensor(w, tensor));
  for (const [name, shape] of Object.entries(graph.inputs ?? {}))
    message(writer, 11, (w) => writeValue(w, name, graph.types?.[name] ?? 1, shape));
  for (const name of graph.outputs)
    message(writer, 12, (w) => writeValue(w, name, graph.types?.[name] ?? 1, undefined));
}

/** A model file. */
export function onnxFile(opset: number, graph: GraphSpec): Uint8Array {
  const writer = new BinaryWriter();
  int(writer, 1, 8);
  message(writer, 7, (w) => writeGraph(w, graph));
  message(writer, 8, (w) => {
    text(w, 1, '');
    int(w, 2, opset);
  });
  return writer.finish();
}
