import { failureCodeSchema } from '@glyphmill/contract/failure';
import { z } from 'zod';

// What the worker and a decoding child say to each other. Pages stay in the child; what crosses is the page
// as the detector sees it and the crops of its lines, as RGB bytes.

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes');
const image = z.object({ width: z.int().positive(), height: z.int().positive(), data: bytes });
const corner = z.number();
const quad = z.tuple([corner, corner, corner, corner, corner, corner, corner, corner]).readonly();
const size = { height: z.int(), minWidth: z.int(), maxWidth: z.int() };

export const requestSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('open'), bytes, maxPagePixels: z.number(), maxPages: z.number() }),
  /** Decodes a page, counted from 1, and keeps it until the next one. */
  z.object({ type: z.literal('page'), number: z.int(), maxSideLength: z.int() }),
  /** Cuts lines out of the page in hand; quads in page pixels. */
  z.object({ type: z.literal('crop'), quads: z.array(quad).readonly(), ...size }),
  /** The page in hand as one line. */
  z.object({ type: z.literal('whole'), ...size }),
  z.object({ type: z.literal('close') }),
]);
export type DecodeRequest = z.input<typeof requestSchema>;

/** The child's answers, parsed by the parent: a process that decodes hostile bytes is not to be trusted. */
export const answerSchemas = {
  open: z.object({ pages: z.int().positive(), frames: z.int().positive() }),
  page: z.object({
    width: z.int().positive(),
    height: z.int().positive(),
    rotation: z.int(),
    detectorInput: image,
  }),
  crop: z.object({ crops: z.array(image) }),
  whole: z.object({ crops: z.array(image).length(1) }),
  close: z.object({ rssBytes: z.number() }),
};
export type Answer = {
  [T in DecodeRequest['type']]: z.input<(typeof answerSchemas)[T]>;
}[DecodeRequest['type']];

export const refusalSchema = z.object({ refused: failureCodeSchema, message: z.string() });
export type Refusal = z.infer<typeof refusalSchema>;
