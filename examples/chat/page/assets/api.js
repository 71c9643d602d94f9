// The REST routes. The browser sends the cookies automatically; scripts cannot read them.

const patience = 8_000; // milliseconds for an answer

// call returns { ok, status, body }; if there is no answer in time, ok is false and status 0.
async function call(method, path, body) {
  const options = { method, headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(patience) };
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
export const me = () => call("GET", "/api/me");
export const devices = () => call("GET", "/api/devices");
export const endDevice = (id) => call("DELETE", `/api/devices/${encodeURIComponent(id)}`);
export const endOthers = () => call("DELETE", "/api/devices");
export const endConnection = (id) => call("DELETE", `/api/connections/${encodeURIComponent(id)}`);
export const connections = () => call("GET", "/api/connections");
export const startStorm = () => call("POST", "/api/storm");
export const storm = () => call("GET", "/api/storm");
export const members = () => call("GET", "/api/members");
export const setMember = (name, member) => call("PUT", `/api/members/${encodeURIComponent(name)}`, { member });
