// Events after which to check the connection: the machine woke, the page or the network is back.

const tick = 10_000;

export const offline = (): boolean => globalThis.navigator?.onLine === false;

export interface Watcher {
  woke(lost: boolean): void;
  aside(): void;
}

/**
 * watch calls woke until signal is aborted; lost: after a sleep or a change of network. aside is
 * called when the page is put aside. Outside of pages only sleep is detected.
 */
export function watch(sleep: number, signal: AbortSignal, { woke, aside }: Watcher): void {
  let last = Date.now();
  const look = (): void => {
    const gap = Date.now() - last;
    last = Date.now();
    // Hidden pages run their timers once a minute: that is not a sleep.
    if (gap > sleep + tick) {
      woke(true);
    }
  };
  const on = (target: EventTarget | undefined, type: string, heard: () => void): void =>
    target?.addEventListener?.(type, heard, { signal });
  const page = globalThis as unknown as EventTarget & { document?: Document };
  const back = (): void => {
    look();
    if (!page.document?.hidden) {
      woke(false);
    }
  };
  on(page, "online", () => woke(true));
  on(page, "pagehide", aside);
  on(page, "pageshow", back);
  on(page.document, "visibilitychange", back);
  const timer = setInterval(look, tick);
  signal.addEventListener("abort", () => clearInterval(timer));
}
