// An engine over several threads: order, joined results, abort, threads started only when needed.
// Not real threads: what is computed by them is tested with the models.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EngineDone, EngineHandle } from '../../src/bus/port.js';
import { SplitEngine } from '../../src/node/split-engine.js';

/** Keeps commands until told to finish one: its result is its first word. */
class Thread implements EngineHandle {
  readonly commandWords = 8;
  readonly taken: { readonly command: Int32Array; readonly done: EngineDone }[] = [];
  aborts = 0;
  submit(command: Int32Array, done: EngineDone): void {
    this.taken.push({ command: command.slice(), done });
  }
  abort(): void {
    this.aborts++;
    this.taken.length = 0;
  }
  finish(): void {
    const { command, done } = this.taken.shift()!;
    done(Int32Array.of(command[0]!));
  }
}

function bench() {
  const threads = [new Thread()];
  const engine = new SplitEngine(threads[0]!, () => (threads[threads.length] = new Thread()), {
    // Commands above 100 are two parts.
    split: (command) => (command[0]! > 100 ? [Int32Array.of(command[0]! - 1), Int32Array.of(1)] : undefined),
    join: (results) => {
      results[0]![0]! += results[1]![0]!;
    },
  });
  const results: number[] = [];
  const submit = (word: number): void =>
    engine.submit(Int32Array.of(word), (result) => results.push(result[0]!));
  return { threads, engine, results, submit };
}

describe('an engine over two threads', () => {
  it('gives whole commands to the first and starts no other', () => {
    const { threads, results, submit } = bench();
    submit(1);
    submit(2);
    assert.equal(threads[0]!.taken.length, 2);
    threads[0]!.finish();
    threads[0]!.finish();
    assert.deepEqual(results, [1, 2]);
    assert.equal(threads.length, 1);
  });

  it('is done with a split command when its last part is, with the joined result', () => {
    const { threads, results, submit } = bench();
    submit(200);
    threads[1]!.finish();
    assert.deepEqual(results, []);
    threads[0]!.finish();
    assert.deepEqual(results, [200]);
  });

  it('keeps the order of commands around a split one', () => {
    const { threads, results, submit } = bench();
    submit(1);
    submit(200);
    submit(2);
    assert.equal(threads.length, 1, 'the split one waits for the first');
    threads[0]!.finish();
    assert.equal(threads[0]!.taken.length, 1, 'the last one waits for both parts');
    threads[0]!.finish();
    assert.equal(threads[0]!.taken.length, 0);
    threads[1]!.finish();
    threads[0]!.finish();
    assert.deepEqual(results, [1, 200, 2]);
  });

  it('forgets everything at an abort, and goes on', () => {
    const { threads, engine, results, submit } = bench();
    submit(200);
    submit(3);
    engine.abort();
    assert.deepEqual(
      threads.map((thread) => thread.aborts),
      [1, 1],
    );
    submit(300);
    threads[0]!.finish();
    threads[1]!.finish();
    assert.deepEqual(results, [300]);
  });
});
