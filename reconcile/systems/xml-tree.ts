/** A small XML reader for libvirt's documents: no DTD, no entities but the five of XML, bounded in size and depth. */
import { SaxesParser } from 'saxes';

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** All character data directly inside, as it stands. */
  readonly text: string;
}

export type ParsedXml =
  | { readonly ok: true; readonly root: XmlElement }
  /** With `line:column: ` in front where a place is known. */
  | { readonly ok: false; readonly error: string };

/** Live XML of a large VM is below 100 KiB. */
const maxCharacters = 8 * 1024 * 1024;
const maxDepth = 128;

interface Open {
  readonly name: string;
  readonly attributes: Record<string, string>;
  readonly children: XmlElement[];
  text: string;
}

class XmlFault extends Error {}

/** Parses one document. Never throws. */
export function parseXml(xml: string): ParsedXml {
  if (xml.length > maxCharacters) return { ok: false, error: `longer than ${maxCharacters} characters` };
  try {
    return readXml(xml);
  } catch (error) {
    if (error instanceof XmlFault) return { ok: false, error: error.message };
    throw error;
  }
}

function readXml(xml: string): ParsedXml {
  const parser = new SaxesParser();
  const open: Open[] = [];
  let root: XmlElement | undefined;
  parser.on('error', (error) => {
    throw new XmlFault(error.message);
  });
  parser.on('doctype', () => {
    throw new XmlFault(`${parser.line}:${parser.column}: a document type declaration is not accepted`);
  });
  parser.on('opentag', ({ name, attributes }) => {
    if (open.length >= maxDepth) throw new XmlFault(`${parser.line}:${parser.column}: nested deeper than ${maxDepth}`);
    open.push({ name, attributes: { ...attributes }, children: [], text: '' });
  });
  function addText(text: string): void {
    const element = open.at(-1);
    if (element !== undefined) element.text += text;
  }
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', () => {
    const element = open.pop();
    if (element === undefined) return;
    const parent = open.at(-1);
    if (parent === undefined) root = element;
    else parent.children.push(element);
  });
  parser.write(xml).close();
  return root === undefined ? { ok: false, error: 'it holds no element' } : { ok: true, root };
}

/** The first child element of a name. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((each) => each.name === name);
}

/** An attribute of the first child element of a name. */
export function childAttribute(element: XmlElement, name: string, attribute: string): string | undefined {
  return child(element, name)?.attributes[attribute];
}
