import { find } from './dom.js';

/**
 * Takes pictures from wherever they come: a file dialogue, the camera of a phone, the clipboard, or dropped anywhere on
 * the page.
 *
 * @param {{ onPicture: (file: File) => void, onProblem: (message: string) => void }} options
 */
export function takePictures({ onPicture, onProblem }) {
  const drop = find('drop', HTMLElement);

  /** @param {FileList | undefined | null} files */
  const take = (files) => {
    const list = [...(files ?? [])];
    const picture = list.find(
      ({ type, name }) => type.startsWith('image/') || /\.(tiff?|avif|webp)$/i.test(name),
    );
    if (picture !== undefined) return onPicture(picture);
    const [other] = list;
    if (other !== undefined)
      onProblem(`${other.name} is no picture. Choose a JPEG, PNG, WebP, GIF, AVIF or TIFF file.`);
  };

  for (const [button, input] of [
    ['choose-file', 'file'],
    ['take-photo', 'photo'],
  ]) {
    const field = find(input ?? '', HTMLInputElement);
    find(button ?? '', HTMLButtonElement).addEventListener('click', () => field.click());
    field.addEventListener('change', () => {
      take(field.files);
      // So that the same file can be chosen once more.
      field.value = '';
    });
  }
  document.addEventListener('paste', (event) => take(event.clipboardData?.files));

  let depth = 0;
  /** @param {number} change */
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    drop.classList.toggle('over', depth > 0);
  };
  document.addEventListener('dragenter', () => mark(1));
  document.addEventListener('dragleave', () => mark(-1));
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(-depth);
    take(event.dataTransfer?.files);
  });
}
