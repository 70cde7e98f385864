import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { z } from 'zod';

/**
 * Opens a profiled session, lets `warmUp` run it, and throws unless the profile shows that every heavy operator
 * ran on CUDA: the runtime puts operators on the CPU without a word, and its list of backends names CUDA anywhere.
 */
export async function cudaProof(
  modelPath: string,
  options: InferenceSession.SessionOptions,
  warmUp: (session: InferenceSession) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'glyphmill-profile-'));
  try {
    const profileFilePrefix = join(directory, 'run');
    const session = await InferenceSession.create(modelPath, {
      ...options,
      enableProfiling: true,
      profileFilePrefix,
    });
    try {
      await warmUp(session);
    } finally {
      session.endProfiling();
      await session.release();
    }
    const [profile] = await readdir(directory);
    if (profile === undefined) throw new Error('the runtime wrote no profile');
    assertOnCuda(await readFile(join(directory, profile), 'utf8'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Operators that make up nearly all of a model's work; shape arithmetic rightly stays on the CPU. */
const heavyOperators = /^(Fused)?(Conv|ConvTranspose|Gemm|MatMul)/;

const profileSchema = z.array(
  z.object({
    cat: z.string().optional(),
    args: z.object({ op_name: z.string().optional(), provider: z.string().optional() }).optional(),
  }),
);

/** `profile` is ONNX Runtime's profile in Chrome's trace format. */
export function assertOnCuda(profile: string): void {
  const events = profileSchema.parse(JSON.parse(profile)).filter(({ cat }) => cat === 'Node');
  const heavy = events.filter(({ args }) => args?.provider && heavyOperators.test(args.op_name ?? ''));
  const elsewhere = heavy.filter(({ args }) => args?.provider !== 'CUDAExecutionProvider');
  if (heavy.length > 0 && elsewhere.length === 0) return;
  throw new Error(`of ${heavy.length} heavy operators ${elsewhere.length} ran outside CUDA`);
}
