// Events after which to check the connection: the machine woke, the page or the network is back.

export type Wake = "slept" | "online" | "visible";

const tick = 10_000;

export const offline = (): boolean => globalThis.navigator?.onLine === false;

/** watch calls woke until it is stopped. Outside of pages it detects only sleep. */
export function watch(sleep: number, woke: (why: Wake) => void): () => void {
  let last = Date.now();
  const look = (): void => {
    const gap = Date.now() - last;
    last = Date.now();
    // Hidden pages run their timers once a minute: that is not a sleep.
    if (gap > sleep + tick) {
      woke("slept");
    }
  };
  const stop = new AbortController();
  const on = (target: EventTarget | undefined, type: string, heard: () => void): void =>
    target?.addEventListener?.(type, heard, { signal: stop.signal });
  const page = globalThis as unknown as EventTarget & { document?: Document };
  const back = (): void => {
    look();
    if (page.document?.visibilityState !== "hidden") {
      woke("visible");
    }
  };
  on(page, "online", () => woke("online"));
  on(page, "pageshow", back);
  on(page.document, "visibilitychange", back);
  const timer = setInterval(look, tick);
  return () => {
    clearInterval(timer);
    stop.abort();
  };
}
