// Mistakes in the options of connect() and seal().

/** wrong returns the error for a mistake in an option. */
export function wrong(option: string, detail: unknown): TypeError {
  return new TypeError(`securews: ${option}: ${detail}`);
}
