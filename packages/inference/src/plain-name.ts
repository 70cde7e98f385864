import type { Refuse } from './model-config-error.ts';

/** File names from a config stay inside the model's directory. */
export function plainName(name: string, field: string, refuse: Refuse): string {
  if (/[/\\]/.test(name) || name.startsWith('.'))
    refuse(field, `"${name}" is not a plain file name`, 'Name a file of the model, without a path');
  return name;
}
