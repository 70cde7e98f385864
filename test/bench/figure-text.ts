/** 0.954 → "95.4 %". */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** 1.234 → "1.23 ×". */
export function times(ratio: number): string {
  return `${ratio.toFixed(2)} ×`;
}

/** The same with the sign said. */
export function signed(value: number, digits: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
