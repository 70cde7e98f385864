import {
  metricsPortSetting,
  processSettings,
  redisSettings,
  s3Settings,
  tracingSettings,
} from '@glyphmill/service/common-settings';
import { type Config, integer, readConfig, setting } from '@glyphmill/service/config';
import { z } from 'zod';

export const workerSettings = {
  modelRepository: setting(
    'MODEL_REPOSITORY',
    z.string().default('.glyphmill/models'),
    'Directory of the model repository; a default model is put there for each role that none of its models has.',
  ),
  detectModel: setting(
    'DETECT_MODEL',
    z.string().optional(),
    'Detector to serve, where the repository has several besides the default one.',
  ),
  recognizeModel: setting(
    'RECOGNIZE_MODEL',
    z.string().optional(),
    'Recogniser to serve, where the repository has several besides the default one.',
  ),
  provider: setting(
    'INFERENCE_PROVIDER',
    z.enum(['auto', 'cpu', 'cuda']).default('auto'),
    'What runs the models; auto takes CUDA where it works, and says which it took.',
  ),
  documentsInFlight: setting(
    'DOCUMENTS_IN_FLIGHT',
    integer(1, 4096).default(48),
    'Jobs a worker holds at once, so that their lines fill micro-batches.',
  ),
  decoders: setting(
    'DECODERS',
    integer(1, 64).default(2),
    'Decoding child processes, each with one document in hand.',
  ),
  decodeTimeoutSeconds: setting(
    'DECODE_TIMEOUT_SECONDS',
    integer(1, 600).default(20),
    'Longest time for decoding one page.',
  ),
  jobTimeoutSeconds: setting(
    'JOB_TIMEOUT_SECONDS',
    integer(1, 86_400).default(600),
    'Longest time for one attempt at a job.',
  ),
  fetchTimeoutSeconds: setting(
    'FETCH_TIMEOUT_SECONDS',
    integer(1, 3600).default(60),
    'Longest time for reading one object.',
  ),
  maxDocumentBytes: setting(
    'MAX_DOCUMENT_BYTES',
    integer(1, 500_000_000).default(100_000_000),
    'Largest document that is fetched.',
  ),
  maxPages: setting('MAX_PAGES', integer(1, 100_000).default(3000), 'Most pages of a document.'),
  maxPageMegapixels: setting(
    'MAX_PAGE_MEGAPIXELS',
    integer(1, 400).default(100),
    'Largest page; a decoding child may use 500 MB and 8 bytes per pixel of this.',
  ),
  ...redisSettings,
  ...s3Settings,
  ...processSettings,
  ...tracingSettings,
  ...metricsPortSetting(9091),
};

export type WorkerConfig = Config<typeof workerSettings>;

export function readWorkerConfig(env: Record<string, string | undefined>): WorkerConfig {
  return readConfig(workerSettings, env);
}
