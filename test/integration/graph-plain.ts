/** The default models as their package has them, in a repository as it was written before their graphs were changed. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultModelAssets } from '@glyphmill/inference/model-assets';

const assets = defaultModelAssets();

const detector = `name: "ppocrv4-det"
max_batch_size: 1
input { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [3, -1, -1] }
output { name: "sigmoid_0.tmp_0" data_type: TYPE_FP32 dims: [1, -1, -1] }
parameters { key: "role" value { string_value: "detect" } }
parameters { key: "max_side" value { string_value: "1920" } }
`;

const recognizer = `name: "ppocrv4-rec"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [3, 48, -1] }
output { name: "softmax_11.tmp_0" data_type: TYPE_FP32 dims: [-1, 6625] label_filename: "ppocr_keys_v1.txt" }
dynamic_batching { max_queue_delay_microseconds: 5000 }
parameters { key: "role" value { string_value: "recognize" } }
`;

/** The files of the package, by model. */
export const plainFiles = {
  'ppocrv4-det': join(assets, 'ch_PP-OCRv4_det_infer.onnx'),
  'ppocrv4-rec': join(assets, 'ch_PP-OCRv4_rec_infer.onnx'),
};

export async function writePlainModels(repository: string): Promise<void> {
  for (const [name, config] of [
    ['ppocrv4-det', detector],
    ['ppocrv4-rec', recognizer],
  ] as const) {
    const directory = join(repository, name);
    await mkdir(join(directory, '1'), { recursive: true });
    await copyFile(plainFiles[name], join(directory, '1/model.onnx'));
    await writeFile(join(directory, 'config.pbtxt'), config);
  }
  await copyFile(join(assets, 'ppocr_keys_v1.txt'), join(repository, 'ppocrv4-rec/ppocr_keys_v1.txt'));
}
