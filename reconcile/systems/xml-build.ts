/** Builds XML in the shape that libvirt prints it: two spaces a level, single quotes, all text escaped. */

/** Attributes in their order; one that is undefined is left out. */
export type XmlAttributes = Readonly<Record<string, string | number | undefined>>;

/** An element with children, or with text alone. What `parseXml` reads is one too. */
export interface XmlNode {
  readonly name: string;
  readonly attributes?: XmlAttributes;
  readonly children?: readonly (XmlNode | undefined)[];
  readonly text?: string;
}

/**
 * The text of an element and all in it, one line an element, with a line feed at the end.
 * @throws RangeError for a character that XML can't carry, even escaped
 */
export function buildXml(root: XmlNode): string {
  return `${render(root, 0).join('\n')}\n`;
}

function render(node: XmlNode, depth: number): readonly string[] {
  const pad = '  '.repeat(depth);
  const attributes = Object.entries(node.attributes ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}='${escapeXml(String(value))}'`)
    .join('');
  const open = `${pad}<${node.name}${attributes}`;
  const children = (node.children ?? []).flatMap((child) => (child ? [child] : []));
  if (children.length > 0)
    return [`${open}>`, ...children.flatMap((child) => render(child, depth + 1)), `${pad}</${node.name}>`];
  if (node.text === undefined || node.text === '') return [`${open}/>`];
  return [`${open}>${escapeXml(node.text)}</${node.name}>`];
}

/** Characters outside XML 1.0, which no reference can stand for either. */
const forbidden = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u;

function escapeXml(text: string): string {
  const character = forbidden.exec(text)?.[0];
  if (character !== undefined) {
    throw new RangeError(`XML has no place for U+${character.codePointAt(0)?.toString(16).padStart(4, '0')}`);
  }
  return text.replaceAll(/[&<>'"\t\n\r]/g, (found) => references[found] ?? found);
}

/** White space in an attribute would be read back as a space. */
const references: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
};

export function leaf(name: string, attributes: XmlAttributes): XmlNode {
  return { name, attributes };
}

export function content(name: string, text: string | number, attributes: XmlAttributes = {}): XmlNode {
  return { name, attributes, text: String(text) };
}

export function parent(
  name: string,
  children: readonly (XmlNode | undefined)[],
  attributes: XmlAttributes = {},
): XmlNode {
  return { name, attributes, children };
}
