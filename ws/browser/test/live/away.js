// A page to which the one of the client gives way, and which goes back on command.

const { control } = JSON.parse(document.body.dataset.options);
await fetch(`${control}/tell`, { method: "POST", body: JSON.stringify([{ shown: "away" }]) });
await (await fetch(`${control}/todo`)).text();
history.back();
