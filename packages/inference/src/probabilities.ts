/** ONNX Runtime's sigmoid answers 1 + 2⁻²³ where it is all but certain. */
const maxRounding = 1e-5;

/** Sets what rounding put just above 1 to 1, in place, and gives the first value that is no probability, if any. */
export function settleProbabilities(values: Float32Array): number | undefined {
  for (const [i, value] of values.entries()) {
    // NaN passes no comparison.
    if (value >= 0 && value <= 1) continue;
    if (!(value > 1 && value <= 1 + maxRounding)) return value;
    values[i] = 1;
  }
  return undefined;
}
