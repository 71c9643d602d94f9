// HTTP responses, read up to a limit.

/** read returns the JSON of a response. If that is longer than most bytes, it throws tooLong. */
export async function read(answer: Response, most: number, tooLong: Error): Promise<any> {
  const body = answer.body!.getReader();
  const utf8 = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await body.read();
    if (done) {
      return JSON.parse(text);
    }
    if ((most -= value.length) < 0) {
      await body.cancel();
      throw tooLong;
    }
    text += utf8.decode(value, { stream: true });
  }
}
