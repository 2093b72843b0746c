// Transfer.java URL: sends a body and gets it back, then gets another, by HttpClient; prints digests.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;

public class Transfer {
    public static void main(String[] words) throws Exception {
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        byte[] body = new byte[3000001];
        for (int i = 0; i < body.length; i++) {
            body[i] = (byte) (i * 31 + (i >> 8));
        }
        HttpRequest.Builder to = HttpRequest.newBuilder(URI.create(words[0] + "/3000000/5"));
        HttpResponse<byte[]> back = client.send(to.POST(BodyPublishers.ofByteArray(body)).build(), BodyHandlers.ofByteArray());
        System.out.println(Arrays.equals(body, back.body()));
        print(back);
        print(client.send(to.GET().build(), BodyHandlers.ofByteArray()));
        System.exit(0);
    }

    static void print(HttpResponse<byte[]> answer) throws Exception {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(answer.body());
        System.out.println(answer.statusCode() + " " + answer.body().length + " " + HexFormat.of().formatHex(digest));
    }
}
