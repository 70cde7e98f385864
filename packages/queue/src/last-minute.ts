/** What happens is counted in slots of this length, by the scripts too. */
export const slotMs = 10_000;
/** Slots before the present one that are looked at. */
const earlierSlots = 6;

/** The slots of the last minute, the present one last. */
export function slotsOfLastMinute(nowMs: number): number[] {
  const present = Math.floor(nowMs / slotMs);
  return Array.from({ length: earlierSlots + 1 }, (_, index) => present - earlierSlots + index);
}

/** How long ago this slot began; a second at least, since rates are divided by it. */
export function secondsSince(slot: number, nowMs: number): number {
  return Math.max(1, (nowMs - slot * slotMs) / 1000);
}
