/**
 * A file as an answer. A long one comes piece by piece, each of them read when the client has
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
  return new Response(
    bodyOf(async () => pieces.pop() ?? (await more())),
    { headers },
  );
}

/** JSON, one value a line, in pieces. */
export function jsonLinesAnswer(name: string, pieces: AsyncGenerator<string>): Response {
  const headers = {
    'content-type': 'application/x-ndjson',
    'content-disposition': `attachment; filename="${name}.jsonl"`,
  };
  const more = async (): Promise<string | undefined> => {
    const { done, value } = await pieces.next();
    return done === true ? undefined : value;
  };
  return new Response(bodyOf(more), { headers });
}

function bodyOf(more: () => Promise<string | undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = await more();
        if (piece === undefined) controller.close();
        else controller.enqueue(Buffer.from(piece));
      },
    },
    { highWaterMark: 0 },
  );
}
