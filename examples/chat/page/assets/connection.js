// A WebSocket that comes back after an unexpected end: with exponential back-off and
// full jitter, so that the clients of a server that restarts do not all come back at
// once. What it must not do is insist: a credential that was taken back ends it.

import { meaning } from "./closing.js";

const firstDelay = 1000;
const longestDelay = 30_000;
const stable = 10_000; // a connection that lived this long starts the back-off anew

export class Connection extends EventTarget {
  #protocol;
  #socket = null;
  #timer = 0;
  #attempt = 0;

  constructor(protocol) {
    super();
    this.#protocol = protocol;
  }

  open() {
    clearTimeout(this.#timer);
    if (this.#socket) return;
    this.#tell("state", { state: "connecting" });
    // The address is this page's own, always wss: nothing a user could type.
    const socket = new WebSocket(`wss://${location.host}/ws`, this.#protocol);
    this.#socket = socket;
    let openedAt = 0;
    socket.onopen = () => {
      openedAt = performance.now();
      this.#tell("state", { state: "connected" });
    };
    socket.onmessage = (event) => this.#tell("message", JSON.parse(event.data));
    socket.onclose = (event) => {
      this.#socket = null;
      if (openedAt && performance.now() - openedAt > stable) this.#attempt = 0;
      this.#ended(event, openedAt > 0);
    };
  }

  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  // close ends it for good, until open. Nobody is told: who asks for it knows.
  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  #ended(event, wasOpen) {
    const { text, then } = meaning(event);
    let delay = 0;
    if (then === "retry") {
      delay = Math.random() * Math.min(longestDelay, firstDelay * 2 ** this.#attempt++);
      this.#timer = setTimeout(() => this.open(), delay);
    }
    this.#tell("state", { state: "closed", code: event.code, text, then, delay, wasOpen });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
