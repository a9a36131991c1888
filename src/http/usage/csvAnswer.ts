/**
 * A CSV file as an answer. A long one comes piece by piece, each of them read when the client has
 * taken the one before: nothing is kept that nobody reads.
 */
export function csvAnswer(file: {
  /** Without its ending. */
  name: string;
  first: string;
  /** The next piece; undefined: there is none. Rejects: the answer breaks off. */
  more?: () => Promise<string | undefined>;
}): Response {
  const { name, first, more } = file;
  const headers = {
    'content-type': 'text/csv; charset=utf-8; header=present',
    'content-disposition': `attachment; filename="${name}.csv"`,
  };
  if (more === undefined) return new Response(first, { headers });
  const pieces = [first];
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = pieces.pop() ?? (await more());
        if (piece === undefined) controller.close();
        else controller.enqueue(Buffer.from(piece));
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers });
}
