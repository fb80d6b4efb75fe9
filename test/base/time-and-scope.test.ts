// The clock a test moves, and release by scope. Not the real clock.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../../src/base/clock.js';
import { DisposableStack, disposable } from '../../src/base/disposable.js';
import { AccelError } from '../../src/base/errors.js';

describe('a test clock', () => {
  it('runs due timers in order of time, then of arming', () => {
    const clock = new TestClock();
    const log: string[] = [];
    clock.after(20, () => log.push(`b ${clock.now()}`));
    clock.after(10, () => {
      log.push(`a ${clock.now()}`);
      clock.after(5, () => log.push(`nested ${clock.now()}`));
    });
    clock.after(20, () => log.push('c'));
    clock.after(21, () => log.push('late'));
    clock.advance(20);
    assert.deepEqual(log, ['a 10', 'nested 15', 'b 20', 'c']);
    assert.equal(clock.pending, 1);
  });

  it('forgets a disposed timer', () => {
    const clock = new TestClock();
    clock.after(1, () => assert.fail('ran'))[Symbol.dispose]();
    clock.advance(10);
    assert.equal(clock.pending, 0);
  });

  it('runs posted work after the caller', async () => {
    const clock = new TestClock();
    const log: number[] = [];
    clock.post(() => log.push(2));
    log.push(1);
    await clock.settle();
    assert.deepEqual(log, [1, 2]);
  });
});

describe('a disposable stack', () => {
  it('releases in reverse order, once, also when one fails', () => {
    const log: number[] = [];
    const stack = new DisposableStack();
    stack.defer(() => log.push(1));
    stack.defer(() => {
      throw new Error('second');
    });
    stack.use(disposable(() => log.push(3)));
    assert.throws(() => stack.dispose(), /second/);
    stack.dispose();
    assert.deepEqual(log, [3, 1]);
  });

  it('hands over what it owns', () => {
    const log: number[] = [];
    const stack = new DisposableStack();
    stack.defer(() => log.push(1));
    const moved = stack.move();
    stack.dispose();
    assert.deepEqual(log, []);
    moved.dispose();
    assert.deepEqual(log, [1]);
  });
});

describe('an accel error', () => {
  it('says errno, call, field and reason', () => {
    const error = new AccelError('EINVAL', { call: 'SUBMIT', field: 'num_tasks', reason: '25, at most 24' });
    assert.equal(error.message, 'EINVAL in SUBMIT: num_tasks: 25, at most 24');
    assert.equal(error.errno, 22);
    assert.equal(error.in('OTHER').call, 'SUBMIT');
    assert.equal(new AccelError('EIO').in('WAIT').message, 'EIO in WAIT');
  });
});
