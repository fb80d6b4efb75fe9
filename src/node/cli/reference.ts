// The model as its file has it, on the host: what a device's results are compared with, inference after inference.
// Not the compiler's work: passes, quantisation and placement are left out of it.
import { importOnnx, type ImportOptions, type TypedArray } from '../../compiler/index.js';
import { type HostExecutor, type HostSession, prepareHost, type Values } from '../../runtime/index.js';
import { readFile, type InputArray } from '../input/load.js';
import type { Sidecar } from '../input/sidecar.js';
import { Accuracy, type Comparison } from './accuracy.js';
import { importFor } from './compilation.js';

export interface ReferenceOptions {
  readonly import: ImportOptions | undefined;
  readonly sidecar: Sidecar | undefined;
  readonly host: HostExecutor | undefined;
}

export class Reference implements AsyncDisposable {
  readonly #session: HostSession;
  readonly #state: readonly (readonly [output: string, input: string])[];
  /** What the reference itself carries on: it does not see the device's state. */
  readonly #carried = new Map<string, TypedArray>();
  readonly #accuracies = new Map<string, Accuracy>();

  private constructor(session: HostSession, sidecar: Sidecar | undefined) {
    this.#session = session;
    this.#state = Object.entries(sidecar?.state ?? {});
  }

  /** @throws AccelError for a file that is no model; EOPNOTSUPP naming an operator that nobody computes on the host */
  static async open(model: string, options: ReferenceOptions): Promise<Reference> {
    const graph = importOnnx(readFile(model), importFor(options.import, options.sidecar));
    return new Reference(await prepareHost(graph, options.host), options.sidecar);
  }

  /** Forgets what it carries and what it has compared: another input begins. */
  begin(): void {
    this.#carried.clear();
    this.#accuracies.clear();
  }

  /** Computes the same inference and compares `outputs` with its own. */
  async compare(
    inputs: Readonly<Record<string, InputArray>>,
    outputs: Readonly<Record<string, InputArray>>,
  ): Promise<void> {
    const values: Values = new Map(Object.entries(inputs) as [string, TypedArray][]);
    for (const [name, array] of this.#carried) values.set(name, array);
    await this.#session.run(values);
    for (const [output, input] of this.#state) this.#carried.set(input, values.get(output)!);
    for (const [name, actual] of Object.entries(outputs)) {
      let accuracy = this.#accuracies.get(name);
      if (accuracy === undefined) this.#accuracies.set(name, (accuracy = new Accuracy(name)));
      accuracy.add(actual, values.get(name) as InputArray);
    }
  }

  /** Since `begin`, by output. */
  get comparisons(): Comparison[] {
    return [...this.#accuracies.values()].map(({ comparison }) => comparison);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}
