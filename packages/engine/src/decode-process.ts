import type { RgbImage } from '@glyphmill/core/image';
import { rectifyLine, resizeLine } from '@glyphmill/core/rectify';
import { dieWithParent } from '@glyphmill/inference/parent-watch';
import type { z } from 'zod';
import { type Answer, type Refusal, requestSchema } from './decode-messages.ts';
import { type ImageDocument, openImage, Refused, readPage } from './image-document.ts';

// The main file of a decoding child: one request at a time, one document and one of its pages in hand.

let document: ImageDocument | undefined;
let page: RgbImage | undefined;

async function answer(request: z.output<typeof requestSchema>): Promise<Answer> {
  switch (request.type) {
    case 'open': {
      document = await openImage(request.bytes, request);
      return { pages: document.pages, frames: document.frames };
    }
    case 'page': {
      page = undefined;
      const decoded = await readPage(opened(), request);
      page = decoded.image;
      const { width, height } = page;
      return {
        width,
        height,
        rotation: decoded.rotation,
        detectorInput: decoded.detectorInput,
      };
    }
    case 'crop': {
      const { quads, ...size } = request;
      return { crops: quads.map((quad) => rectifyLine(pageInHand(), quad, size)) };
    }
    case 'whole':
      return { crops: [resizeLine(pageInHand(), request)] };
    case 'close':
      document = undefined;
      page = undefined;
      return { rssBytes: process.memoryUsage.rss() };
  }
}

function opened(): ImageDocument {
  if (document === undefined) throw new Error('expected "open" before any other request');
  return document;
}

function pageInHand(): RgbImage {
  if (page === undefined) throw new Error('expected "page" before its lines');
  return page;
}

async function answerOrRefuse(message: unknown): Promise<Answer | Refusal> {
  try {
    return await answer(requestSchema.parse(message));
  } catch (error) {
    if (error instanceof Refused) return { refused: error.code, message: error.message };
    throw error;
  }
}

dieWithParent();
process.on('message', (message) => {
  // An unexpected error ends the child: the parent sees the exit and types it.
  void answerOrRefuse(message).then((reply) => process.send?.(reply));
});
