import type { MultipartFile, MultipartValue } from '@fastify/multipart';
import { createJobSchema } from '@glyphmill/contract/request';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Problem } from './problem.ts';
import { decodeSource, type Submission } from './submit.ts';
import { parseBody } from './validation.ts';

const settingsSchema = createJobSchema.pick({ mode: true, model: true, modelVersion: true, options: true });

/** A JSON body of `POST /v1/recognize`. */
export const recognizeBodySchema = createJobSchema
  .pick({ source: true, mode: true, model: true, modelVersion: true, options: true, cache: true })
  .meta({ id: 'Recognize' });

/** The fields of a multipart body; `options` is JSON, and the image comes last or first as it likes. */
export const multipartBodySchema = settingsSchema
  .extend({ image: z.unknown().meta({ description: 'The image’s bytes, one file.' }) })
  .meta({ id: 'RecognizeForm' });

/** What neither a multipart nor a raw body can say. */
const { webhook: _, ...unsaid } = createJobSchema.omit({ source: true }).parse({});

/** The job that a request of any of the accepted media types asks for. Throws Problem or ZodError. */
export async function readRecognition(request: FastifyRequest): Promise<Submission> {
  if (request.isMultipart()) return await readMultipart(request);
  if (Buffer.isBuffer(request.body)) {
    const contentType = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
    return highPriority({ source: inline(request.body, contentType) });
  }
  const { source, ...settings } = parseBody(recognizeBodySchema, request.body);
  return highPriority({ ...settings, source: decodeSource(source) });
}

function highPriority(wanted: Pick<Submission, 'source'> & Partial<Submission>): Submission {
  return { ...unsaid, ...wanted, priority: 'high' };
}

async function readMultipart(request: FastifyRequest): Promise<Submission> {
  const fields: Record<string, unknown> = {};
  let image: { bytes: Buffer; contentType: string } | undefined;
  try {
    for await (const part of request.parts()) {
      if (part.type === 'field') fields[part.fieldname] = readField(part);
      else image = await readImage(part);
    }
  } catch (error) {
    throw isDecided(error) ? error : malformed(error);
  }
  if (image === undefined) throw missingImage();
  const settings = parseBody(settingsSchema, fields);
  return highPriority({ ...settings, source: inline(image.bytes, image.contentType) });
}

/** Ours, or one of the parser's limits; its complaints about the form itself bear no status. */
function isDecided(error: unknown): boolean {
  return error instanceof Problem || (error instanceof Error && 'statusCode' in error);
}

function malformed(error: unknown): Problem {
  const reason = error instanceof Error ? error.message : String(error);
  return new Problem('invalid-request', { detail: `The form cannot be read: ${reason}.` });
}

function readField({ fieldname, value, valueTruncated }: MultipartValue): unknown {
  if (valueTruncated)
    throw new Problem('payload-too-large', { detail: `The field ${fieldname} is too long.` });
  if (fieldname !== 'options' || typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    throw new Problem('invalid-json', { detail: 'The field options is not JSON.' });
  }
}

async function readImage(part: MultipartFile): Promise<{ bytes: Buffer; contentType: string }> {
  if (part.fieldname !== 'image') {
    throw new Problem('unknown-field', {
      detail: 'The file belongs into the field image.',
      errors: [{ pointer: `/${part.fieldname}`, detail: 'this call knows no such field' }],
    });
  }
  return { bytes: await part.toBuffer(), contentType: part.mimetype };
}

function inline(bytes: Buffer, contentType: string | undefined): Submission['source'] {
  if (bytes.length === 0) throw missingImage();
  const plain = /^[a-z]+\/[a-z0-9.+-]{1,100}$/.test(contentType ?? '') ? contentType : undefined;
  return { type: 'inline', bytes, contentType: plain ?? 'application/octet-stream' };
}

function missingImage(): Problem {
  return new Problem('validation-failed', {
    detail: 'There is no image: send it as the multipart field image, or as the body itself.',
    errors: [{ pointer: '/image', detail: 'expected an image' }],
  });
}
