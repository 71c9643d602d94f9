// What is typed and not sent yet, for each room, in the memory of this page alone: a draft never
// follows into another room, is never stored, and is gone when the user is.

const field = document.getElementById("text");

const drafts = new Map();
let room = "";

// enter puts the draft of a room into the field, and keeps the text of the one before.
export function enter(name) {
  if (name === room) return;
  if (room) drafts.set(room, field.value);
  room = name;
  field.value = drafts.get(room) ?? "";
}

export const sent = () => { field.value = ""; };

export function forget() {
  drafts.clear();
  room = field.value = "";
}
