/** `shown` with methods that do not show when it is printed or made JSON of. */
export function addHidden<T extends object, M extends object>(shown: T, methods: M): T & M {
  const combined = Object.assign(methods, shown);
  for (const name of Object.keys(combined)) {
    if (!Object.hasOwn(shown, name)) Object.defineProperty(combined, name, { enumerable: false });
  }
  return combined;
}
