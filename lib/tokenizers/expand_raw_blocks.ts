const rawBlock = /\{#.*?#\}|([ \t]*)\{%([-+]?)\s*raw\s*(-?)%\}(.*?)\{%([-+]?)\s*endraw\s*([-+]?)%\}(\n?)/gs;

/**
 * Writes `{% raw %}text{% endraw %}` as `{{ "text" }}`, for `@huggingface/jinja` has no raw blocks. White space goes as
 * Jinja2's `trim_blocks` and `lstrip_blocks` have it, which is how `transformers` renders.
 */
export function expandRawBlocks(template: string): string {
  return template.replace(
    rawBlock,
    (all, indent: string | undefined, open, openEnd, text, close, closeEnd, newline, at: number) => {
      if (indent === undefined) return all;
      const startsLine = at === 0 || template[at - 1] === '\n';
      const before = open === '-' || (open === '' && startsLine) ? '' : indent;
      const body = trimEnd(openEnd === '-' ? text.trimStart() : text, close);
      const after = closeEnd === '+' ? newline : '';
      const dash = { start: open === '-' ? '-' : '', end: closeEnd === '-' ? '-' : '' };
      return `${before}{{${dash.start} ${JSON.stringify(body)} ${dash.end}}}${after}`;
    },
  );
}

function trimEnd(text: string, sign: string): string {
  if (sign === '-') return text.trimEnd();
  return sign === '+' ? text : text.replace(/\n[ \t]*$/, '\n');
}
