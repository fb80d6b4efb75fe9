// What the compiler says when it cannot go on: which operator, which node, which shape, which rule.
// Not for broken invariants of ours: those are plain errors.
import { AccelError, type ErrnoName } from '../../base/index.js';
import type { Shape } from './types.js';

/** What was at fault. All but the rule may be unknown. */
export interface CompileErrorContext {
  /** ONNX operator, with its domain when that is not ONNX's: `com.microsoft::DecodeImage`. */
  readonly operator?: string;
  /** The node's name in the model, or the name of its first output when it has none. */
  readonly node?: string;
  /** Shapes of the node's inputs, or of the tensor at fault. */
  readonly shapes?: readonly (Shape | undefined)[];
  /** What does not hold, with the figures: `channels 3 is not group 2 x 4`. */
  readonly rule: string;
  readonly cause?: unknown;
}

/** EINVAL: the model is wrong. EOPNOTSUPP: the model is right and we cannot. E2BIG: it does not fit a limit. */
export class CompileError extends AccelError {
  readonly operator: string | undefined;
  readonly node: string | undefined;
  readonly shapes: readonly (Shape | undefined)[] | undefined;
  readonly rule: string;

  constructor(code: ErrnoName, { operator, node, shapes, rule, cause }: CompileErrorContext) {
    const at = node === undefined || node === '' ? '' : ` "${node}"`;
    const on =
      shapes === undefined
        ? ''
        : ` on ${shapes.map((shape) => (shape === undefined ? '?' : `[${shape.join(',')}]`)).join(', ')}`;
    const field = operator === undefined && at === '' ? undefined : `${operator ?? 'tensor'}${at}${on}`;
    super(code, { call: 'compile', field, reason: rule, cause });
    this.name = 'CompileError';
    this.operator = operator;
    this.node = node;
    this.shapes = shapes;
    this.rule = rule;
  }
}
