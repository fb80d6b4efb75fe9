// The words that a thread and its call thread share: one call, its state, its result.
// Not a queue: one call at a time.

export const MailState = { idle: 0, asked: 1, done: 2 } as const;
export type MailState = (typeof MailState)[keyof typeof MailState];

/** What a call thread can do. */
export const Operation = { ioctl: 0, poll: 1 } as const;
export type Operation = (typeof Operation)[keyof typeof Operation];

const STATE = 0;
const OPERATION = 1;
const FD = 2;
const REQUEST = 3;
const RESULT = 4;
const THREAD = 5;
const WORDS = 6;
/** The address is 64 bits: after the words, aligned. */
const ADDRESS = 3;
const BYTES = 32;

export class Mailbox {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #address: BigUint64Array;

  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, WORDS);
    this.#address = new BigUint64Array(buffer, 0, ADDRESS + 1);
  }

  get state(): MailState {
    return Atomics.load(this.#words, STATE) as MailState;
  }

  /** Publishes what was written before, and wakes the other side. */
  set state(state: MailState) {
    Atomics.store(this.#words, STATE, state);
    Atomics.notify(this.#words, STATE);
  }

  /** Sleeps while the state is `state`, for `timeout` ms at most. */
  wait(state: MailState, timeout?: number): void {
    Atomics.wait(this.#words, STATE, state, timeout);
  }

  /** Resolves once the state is not `state`. */
  async changed(state: MailState): Promise<void> {
    while (this.state === state) {
      const waiting = Atomics.waitAsync(this.#words, STATE, state);
      if (waiting.async) await waiting.value;
    }
  }

  get operation(): Operation {
    return this.#words[OPERATION] as Operation;
  }
  set operation(operation: Operation) {
    this.#words[OPERATION] = operation;
  }

  get fd(): number {
    return this.#words[FD]!;
  }
  set fd(fd: number) {
    this.#words[FD] = fd;
  }

  /** The request of an ioctl, the timeout of a poll. */
  get request(): number {
    return this.#words[REQUEST]!;
  }
  set request(request: number) {
    this.#words[REQUEST] = request;
  }

  get address(): bigint {
    return this.#address[ADDRESS]!;
  }
  set address(address: bigint) {
    this.#address[ADDRESS] = address;
  }

  /** What the call returned, or minus errno. */
  get result(): number {
    return this.#words[RESULT]!;
  }
  set result(result: number) {
    this.#words[RESULT] = result;
  }

  /** The call thread's number in the kernel; 0 before it runs. */
  get thread(): number {
    return Atomics.load(this.#words, THREAD);
  }
  set thread(thread: number) {
    Atomics.store(this.#words, THREAD, thread);
  }
}
