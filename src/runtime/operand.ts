// MLOperand: a value of the graph that a builder makes.
// Not a tensor: it has no elements unless it is a constant.
import type { DataType, Shape, Value } from '../compiler/ir/index.js';
import { shapeOf } from '../compiler/ir/index.js';
import type { MLOperandDescriptor } from './tensor.js';

/** Made by the methods of MLGraphBuilder; used with the builder that made it. */
export class MLOperand implements MLOperandDescriptor {
  /** For the builder. */
  readonly value: Value;
  /** For the builder: whose it is. */
  readonly owner: object;

  constructor(owner: object, value: Value) {
    this.owner = owner;
    this.value = value;
  }

  get dataType(): DataType {
    return this.value.type;
  }

  get shape(): Shape {
    return shapeOf(this.value);
  }
}
