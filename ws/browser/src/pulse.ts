// The application's own heartbeat: any message counts as an answer.

import type { Heartbeat } from "./api.js";

export class Pulse {
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly heartbeat: Required<Heartbeat>,
    private readonly send: (ping: ReturnType<Heartbeat["ping"]>) => void,
    private readonly cut: () => void,
  ) {
    this.beat();
  }

  /** beat restarts the interval: the peer is alive. */
  beat(): void {
    this.stop();
    this.#timer = setTimeout(() => this.ask(), this.heartbeat.every);
  }

  /** ask sends a ping now. */
  ask(): void {
    this.stop();
    this.#timer = setTimeout(this.cut, this.heartbeat.timeout);
    this.send(this.heartbeat.ping());
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
