// The REST routes. The browser sends the cookies automatically; scripts cannot read them.

// call returns { ok, status, body }; if there is no answer, ok is false and status 0.
async function call(method, path, body) {
  const options = { method, headers: { Accept: "application/json" }, cache: "no-store" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  try {
    const answer = await fetch(path, options);
    const type = answer.headers.get("Content-Type") ?? "";
    return { ok: answer.ok, status: answer.status, body: type.includes("json") ? await answer.json() : {} };
  } catch {
    return { ok: false, status: 0, body: {} };
  }
}

export const signIn = (user, password) => call("POST", "/login", { user, password });
export const signOut = () => call("POST", "/logout");
