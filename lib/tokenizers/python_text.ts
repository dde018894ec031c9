/** A value inside `@huggingface/jinja`. */
export interface JinjaValue {
  readonly type: string;
  readonly value: unknown;
  toString(): string;
}

/** Python's `str(value)`, which is how Jinja2 prints: `True`, `None`, `['a', 1.0]`. */
export function pythonText(value: JinjaValue): string {
  return value.type === 'StringValue' || value.type === 'UndefinedValue'
    ? String(value.value ?? '')
    : pythonRepr(value);
}

function pythonRepr(item: JinjaValue): string {
  switch (item.type) {
    case 'StringValue':
      return quoted(item.value as string);
    case 'BooleanValue':
      return item.value === true ? 'True' : 'False';
    case 'NullValue':
      return 'None';
    case 'ArrayValue':
      return `[${(item.value as JinjaValue[]).map(pythonRepr).join(', ')}]`;
    case 'ObjectValue': {
      const entries = [...(item.value as Map<string, JinjaValue>)];
      return `{${entries.map(([key, value]) => `${quoted(key)}: ${pythonRepr(value)}`).join(', ')}}`;
    }
    default:
      return item.toString();
  }
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function quoted(text: string): string {
  const escaped = text.replace(/[\\\n\r\t]/g, (char) => escapes[char] ?? char);
  return text.includes("'") && !text.includes('"') ? `"${escaped}"` : `'${escaped.replaceAll("'", "\\'")}'`;
}
