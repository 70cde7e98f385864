/** For the main file of a process of the bench: answers each message, and ends when its parent does or when it fails. */
export function answerRequests(answer: (message: unknown) => Promise<object>): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message) => {
    void answer(message).then(
      (reply) => process.send?.(reply),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}
