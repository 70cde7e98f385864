import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { S3Error } from './s3-error.ts';

export type XmlContent = string | number | boolean | XmlElement[];
/** A name and its content; `undefined` leaves the element out. */
export type XmlElement = [name: string, content: XmlContent | undefined];

/** A whole document around one element. */
export function xmlDocument(name: string, content: XmlElement[]): string {
  const inner = content.map(element).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</${name}>`;
}

function element([name, content]: XmlElement): string {
  if (content === undefined) return '';
  const inner = Array.isArray(content) ? content.map(element).join('') : escapeText(String(content));
  return `<${name}>${inner}</${name}>`;
}

function escapeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: keys may hold them, and S3 sends them so.
  return text.replace(/[&<>"\u0000-\u001f\u007f]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Nothing is trimmed or turned into a number: keys are `' 007 '` as well. */
const parser = new XMLParser({
  ignoreAttributes: true,
  ignoreDeclaration: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: false,
  htmlEntities: true,
  isArray: (name) => name === 'Object' || name === 'Part',
});

/** A parsed element, for reading by name. */
export interface XmlNode {
  text(name: string): string | undefined;
  all(name: string): XmlNode[];
}

/** Parses a request body with the named root. Throws MalformedXML. */
export function parseXml(text: string, root: string): XmlNode {
  if (XMLValidator.validate(text) !== true || text.includes('<!DOCTYPE')) {
    throw new S3Error('MalformedXML', 'The XML is not well-formed.');
  }
  const document: unknown = parser.parse(text);
  const content = property(document, root);
  if (content === undefined) throw new S3Error('MalformedXML', `The root element must be ${root}.`);
  return node(content);
}

function node(value: unknown): XmlNode {
  return {
    text: (name) => {
      const found = property(value, name);
      return typeof found === 'string' ? found : undefined;
    },
    all: (name) => {
      const found = property(value, name);
      return Array.isArray(found) ? found.map(node) : [];
    },
  };
}

function property(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}
