// Async iterators over the messages: each sees the messages that arrive after its creation.

import type { Ending, Message } from "./api.js";

interface Inbox {
  held: Message[];
  ended?: { error?: Error };
  wake?: () => void;
}

export class Inboxes {
  #all = new Set<Inbox>();
  #ended: Ending | undefined;

  constructor(private readonly limit: number) {}

  open(): AsyncIterator<Message> {
    const inbox: Inbox = { held: [] };
    this.#all.add(inbox);
    if (this.#ended) {
      this.end(this.#ended);
    }
    return this.#read(inbox);
  }

  async *#read(inbox: Inbox): AsyncGenerator<Message, void> {
    try {
      for (;;) {
        while (inbox.held.length > 0) {
          yield inbox.held.shift()!;
        }
        if (inbox.ended) {
          if (inbox.ended.error) {
            throw inbox.ended.error;
          }
          return;
        }
        await new Promise<void>((resolve) => (inbox.wake = resolve));
      }
    } finally {
      this.#all.delete(inbox);
    }
  }

  push(message: Message): void {
    this.#all.forEach((inbox) => {
      if (inbox.held.push(message) > this.limit) {
        inbox.held.pop();
        this.#end(inbox, new Error("securews: the iterator fell too far behind"));
      }
      inbox.wake?.();
    });
  }

  /** end ends the iterators after their pending messages, with an error unless the closure was normal. */
  end(how: Ending): void {
    this.#ended = how;
    const { code, reason, text } = how;
    const error = code === 1000 || code === 1005 ? undefined : new Error(`securews: ${text} (${[code || "", reason].join(" ").trim()})`);
    this.#all.forEach((inbox) => this.#end(inbox, error));
  }

  #end(inbox: Inbox, error?: Error): void {
    inbox.ended ??= { error };
    this.#all.delete(inbox);
    inbox.wake?.();
  }
}
