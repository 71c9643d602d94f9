// Async iterators over the messages: each sees the messages that arrive after its creation.

import type { Ending, Message } from "./api.js";

class Inbox implements AsyncIterableIterator<Message> {
  #messages: Message[] = [];
  #readers: { resolve(r: IteratorResult<Message>): void; reject(e: Error): void }[] = [];
  #ended: { error?: Error } | undefined;

  constructor(
    private readonly limit: number,
    private readonly release: (inbox: Inbox) => void,
  ) {}

  push(message: Message): void {
    const reader = this.#readers.shift();
    if (reader) {
      reader.resolve({ value: message, done: false });
    } else if (this.#messages.length >= this.limit) {
      this.#end(new Error("securews: the iterator fell too far behind"));
    } else {
      this.#messages.push(message);
    }
  }

  /** end ends the iterator after its pending messages, with an error unless the closure was normal. */
  end({ code, reason, text }: Ending): void {
    const word = [code || "", reason].join(" ").trim();
    this.#end(code === 1000 || code === 1005 ? undefined : new Error(`securews: ${text} (${word})`));
  }

  #end(error?: Error): void {
    this.#ended ??= error ? { error } : {};
    this.release(this);
    for (const reader of this.#readers.splice(0)) {
      this.#finish(reader);
    }
  }

  #finish(reader: { resolve(r: IteratorResult<Message>): void; reject(e: Error): void }): void {
    const error = this.#ended?.error;
    this.#ended = {}; // an error is thrown once
    if (error) {
      reader.reject(error);
    } else {
      reader.resolve({ value: undefined, done: true });
    }
  }

  next(): Promise<IteratorResult<Message>> {
    const message = this.#messages.shift();
    if (message !== undefined) {
      return Promise.resolve({ value: message, done: false });
    }
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        this.#finish({ resolve, reject });
      } else {
        this.#readers.push({ resolve, reject });
      }
    });
  }

  return(): Promise<IteratorResult<Message>> {
    this.#messages = [];
    this.#end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

export class Inboxes {
  #all = new Set<Inbox>();
  #ended: Ending | undefined;

  constructor(private readonly limit: number) {}

  open(): AsyncIterator<Message> {
    const inbox = new Inbox(this.limit, (done) => this.#all.delete(done));
    this.#all.add(inbox);
    if (this.#ended) {
      inbox.end(this.#ended);
    }
    return inbox;
  }

  push(message: Message): void {
    this.#all.forEach((inbox) => inbox.push(message));
  }

  end(how: Ending): void {
    this.#ended = how;
    this.#all.forEach((inbox) => inbox.end(how));
  }
}
