/** Warnings given already: one for each model directory. */
const warned = new Set<string>();

/** Warns once of what a model's directory holds and the model does not use. */
export function warnOfIgnored(
  directory: string,
  fields: readonly string[],
  tensors: readonly string[] = [],
): void {
  const told = [
    ...(fields.length > 0 ? [`fields of its configuration that it does not know: ${fields.join(', ')}`] : []),
    ...(tensors.length > 0
      ? [`${tensors.length} tensors that it does not use: ${tensors.slice(0, 5).join(', ')}`]
      : []),
  ];
  if (told.length === 0 || warned.has(directory)) return;
  warned.add(directory);
  process.emitWarning(`triga ignores, in ${directory}, ${told.join('; ')}`, { code: 'TRIGA_IGNORED' });
}
