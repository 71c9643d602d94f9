import type { Client, Options } from "./api.js";
import { Reconnecting } from "./client.js";
import { settings } from "./settings.js";

export { TicketError, fetchTicket } from "./ticket.js";
export type * from "./api.js";

/** Opens a connection that reconnects automatically. Throws a TypeError for mistakes in the options. */
export function connect(options: Options): Client {
  return new Reconnecting(settings(options));
}
