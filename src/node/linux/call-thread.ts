// A thread that makes calls which may sleep, one after the other, for call-threads.ts.
// Not a place for decisions: it is handed numbers and addresses, and hands back a result or an errno.
import { workerData } from 'node:worker_threads';
import { ioctl, poll, threadId } from '../libc.js';
import { Mailbox, MailState, Operation } from './mailbox.js';

const mail = new Mailbox(workerData as SharedArrayBuffer);
mail.thread = threadId();

for (;;) {
  for (let state = mail.state; state !== MailState.asked; state = mail.state) mail.wait(state);
  mail.result =
    mail.operation === Operation.ioctl
      ? ioctl(mail.fd, mail.request, mail.address)
      : poll(mail.address, mail.request);
  mail.state = MailState.done;
}
