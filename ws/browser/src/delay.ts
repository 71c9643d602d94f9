// Waiting: before the next attempt, which can be shortened, and until a signal.

export class Delay {
  readonly over: Promise<void>;
  #due: number;
  #timer: ReturnType<typeof setTimeout>;
  #done!: () => void;

  constructor(ms: number) {
    this.over = new Promise((resolve) => (this.#done = resolve));
    this.#due = Date.now() + ms;
    this.#timer = setTimeout(this.#done, ms);
  }

  /** hasten ends it in ms at the latest. An overdue timer was stopped by a sleep, and is restarted. */
  hasten(ms: number): void {
    const now = Date.now();
    if (now + ms < this.#due || this.#due < now) {
      this.#due = now + ms;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(this.#done, ms);
    }
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#done();
  }
}

/** pause resolves after ms, or at once when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) {
      done();
    }
  });
}
