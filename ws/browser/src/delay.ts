// The wait before the next attempt: hastened by what wakes it, but not beyond what the
// server asked for.

export class Delay {
  readonly over: Promise<void>;
  #due: number;
  #timer: ReturnType<typeof setTimeout>;
  #done!: () => void;

  constructor(
    ms: number,
    private readonly notBefore: number,
  ) {
    this.over = new Promise((resolve) => (this.#done = resolve));
    this.#due = Date.now() + ms;
    this.#timer = setTimeout(this.#done, ms);
  }

  hasten(ms: number): void {
    const at = Math.max(Date.now() + ms, this.notBefore);
    if (at < this.#due) {
      this.#due = at;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(this.#done, at - Date.now());
    }
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#done();
  }
}
