// Async iterators over the messages: each sees the messages that arrive after its creation.

import type { Ending, Message } from "./api.js";

interface Inbox {
  held: (Message | Error | undefined)[]; // an error is the end, and undefined the normal one
  wake?: () => void;
}

export interface Inboxes {
  open(): AsyncIterator<Message>;
  push(message: Message): void;
  /** Ends the iterators after their pending messages, with an error unless the closure was normal. */
  end(how: Ending): void;
}

/** inboxesOf bounds the unread messages of an iterator. */
export function inboxesOf(limit: number): Inboxes {
  const all = new Set<Inbox>();
  const last: Inbox["held"] = []; // of every iterator, once the client has ended

  const put = (inbox: Inbox, item: Inbox["held"][number]): void => {
    inbox.held.push(item);
    inbox.wake?.();
  };

  async function* read(inbox: Inbox): AsyncGenerator<Message, void> {
    try {
      for (;;) {
        while (inbox.held.length === 0) {
          await new Promise<void>((resolve) => (inbox.wake = resolve));
        }
        const next = inbox.held.shift();
        if (next instanceof Error) {
          throw next;
        }
        if (next === undefined) {
          return;
        }
        yield next;
      }
    } finally {
      all.delete(inbox);
    }
  }

  return {
    open() {
      const inbox = { held: [...last] };
      all.add(inbox);
      return read(inbox);
    },

    push(message) {
      all.forEach((inbox) => {
        if (inbox.held.length < limit) {
          return put(inbox, message);
        }
        put(inbox, new Error("securews: behind"));
        all.delete(inbox);
      });
    },

    end({ code, reason, text }) {
      last.push(code === 1000 || code === 1005 ? undefined : new Error(`securews: ${text} (${code} ${reason})`));
      all.forEach((inbox) => put(inbox, last[0]));
    },
  };
}
