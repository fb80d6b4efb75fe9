// Calls that may sleep, made by threads kept for them, so that the caller's thread goes on: at most one call per thread.
// Not libuv's pool: four calls that wait for a fifth would stop it for ever.
import { Worker } from 'node:worker_threads';
import type { AbortSignalLike } from '../../core/accel-file.js';
import { allowInterrupts, interruptThread } from '../libc.js';
import { Mailbox, MailState, type Operation } from './mailbox.js';

/** An interrupt can come a moment before the thread sleeps, and is lost then: it is said again this often until it is heard, ms. */
const INTERRUPT_AGAIN = 2;
/** How often, when the process ends, before it gives up and lets the end take its time. */
const LAST_TRIES = 500;

export interface ThreadCall {
  readonly operation: Operation;
  readonly fd: number;
  readonly request: number;
  /** Of the argument. Whatever lies there must stay until the call is over. */
  readonly address: bigint;
}

class CallThread {
  readonly mail = new Mailbox();
  readonly #worker: Worker;

  constructor() {
    this.#worker = new Worker(new URL('./call-thread.js', import.meta.url), {
      workerData: this.mail.buffer,
      name: 'calls',
      // Options of the program's own main module, like --input-type, are not this one's.
      execArgv: [],
    });
    this.#worker.on('error', (error) => {
      throw error;
    });
    this.#worker.unref();
  }

  /** The result, or minus errno. */
  async call({ operation, fd, request, address }: ThreadCall, signal?: AbortSignalLike): Promise<number> {
    const { mail } = this;
    mail.operation = operation;
    mail.fd = fd;
    mail.request = request;
    mail.address = address;
    // A pending waitAsync does not keep the process alive; the worker does.
    this.#worker.ref();
    mail.state = MailState.asked;
    let again: NodeJS.Timeout | undefined;
    const interrupt = (): void => {
      this.interrupt();
      again = setTimeout(interrupt, INTERRUPT_AGAIN);
    };
    if (signal?.aborted === true) interrupt();
    else signal?.addEventListener('abort', interrupt);
    try {
      await mail.changed(MailState.asked);
    } finally {
      clearTimeout(again);
      signal?.removeEventListener('abort', interrupt);
      this.#worker.unref();
    }
    const { result } = mail;
    mail.state = MailState.idle;
    return result;
  }

  interrupt(): void {
    if (this.mail.thread !== 0 && this.mail.state === MailState.asked) interruptThread(this.mail.thread);
  }

  /** A thread that sleeps in the kernel cannot be ended, and a process cannot end before its threads. */
  wakeForExit(): void {
    for (let tries = 0; tries < LAST_TRIES && this.mail.state === MailState.asked; tries++) {
      this.interrupt();
      this.mail.wait(MailState.asked, INTERRUPT_AGAIN);
    }
  }
}

const all: CallThread[] = [];
const idle: CallThread[] = [];

/** Makes the call in a thread of its own. The result, or minus errno: EINTR when `signal` fired while it slept. */
export async function callInThread(call: ThreadCall, signal?: AbortSignalLike): Promise<number> {
  const thread = idle.pop() ?? start();
  try {
    return await thread.call(call, signal);
  } finally {
    idle.push(thread);
  }
}

function start(): CallThread {
  if (all.length === 0) {
    allowInterrupts();
    process.on('exit', () => {
      for (const thread of all) thread.wakeForExit();
    });
  }
  const thread = new CallThread();
  all.push(thread);
  return thread;
}
