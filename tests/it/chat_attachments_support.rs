//! Files that are attached, and what becomes of them in a conversation.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::chat_guest_support::{World, advisor};
use crate::support::http::Response;
use crate::support::phoenix::Client;
use crate::support::server::Server;

const TOPIC: &str = "realtime:thread";

/// Red on the left, blue on the right, and noise that does not compress.
pub fn photo(width: u32, height: u32) -> RgbImage {
    let mut seed = 88_172_645_463_325_252_u64;
    RgbImage::from_fn(width, height, |x, _| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let [noise, green, more, ..] = seed.to_le_bytes();
        match x < width / 2 {
            true => Rgb([200 + noise % 56, green % 64, more % 64]),
            false => Rgb([noise % 64, green % 64, 200 + more % 56]),
        }
    })
}

/// As a camera writes it that was held upright (orientation 6), and where.
pub fn jpeg_of_a_camera(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut plain = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut plain, quality);
    image.write_with_encoder(encoder).expect("a JPEG");
    let mut exif =
        b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    exif.extend_from_slice(b"52.5200N 13.4050E");
    let mut bytes = plain[..2].to_vec();
    bytes.extend_from_slice(&[0xff, 0xe1]);
    bytes.extend_from_slice(&u16::try_from(exif.len() + 2).unwrap().to_be_bytes());
    bytes.extend_from_slice(&exif);
    bytes.extend_from_slice(&plain[2..]);
    bytes
}

pub fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).expect("a PNG");
    bytes.into_inner()
}

/// A header that promises 50,000 times 50,000 pixels.
pub fn bomb() -> Vec<u8> {
    let mut bytes = png(&photo(1, 1));
    let side = 50_000_u32.to_be_bytes();
    bytes[16..20].copy_from_slice(&side);
    bytes[20..24].copy_from_slice(&side);
    let crc = bytes[12..29].iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

/// An attachment of a message.
pub fn attachment(path: &str, mime: &str) -> Value {
    let name = path.rsplit('/').next().unwrap_or_default();
    json!({ "name": name, "path": path, "mime_type": mime })
}

/// The advisor's socket, which hears of every change of messages.
pub async fn listener(server: &Server) -> Client {
    let client = Client::connect(server, &advisor()).await;
    let binding = json!({ "event": "*", "schema": "public", "table": "messages" });
    client.listen(TOPIC, binding).await;
    client
}

/// The attachments of a message as soon as each has a thumbnail or an error.
pub async fn described(client: &Client, message: &str) -> Vec<Value> {
    loop {
        let change = client.change(TOPIC).await;
        let record = &change["record"];
        let list = record["attachments"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let is_done =
            |item: &Value| item.get("thumbnail_path").is_some() || item.get("error").is_some();
        if record["id"] == message && list.iter().all(is_done) {
            assert_eq!(change["type"], "UPDATE");
            return list;
        }
    }
}

impl World {
    pub async fn put(&self, bearer: &str, path: &str, mime: &str, body: &[u8]) -> Response {
        let path = format!("/storage/v1/object/chat-attachments/{path}");
        let headers = [("Content-Type", mime)];
        self.surface
            .ask("POST", &path, bearer, &headers, Some(body))
            .await
    }

    /// The same, which must be done.
    pub async fn attach(&self, bearer: &str, path: &str, mime: &str, body: &[u8]) {
        let answer = self.put(bearer, path, mime, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }

    pub async fn download(&self, bearer: &str, path: &str) -> Response {
        let path = format!("/storage/v1/object/authenticated/chat-attachments/{path}");
        self.surface.get(&path, bearer).await
    }

    /// A message with these attachments; gives its id.
    pub async fn show(&self, bearer: &str, conversation: &str, list: &[Value]) -> String {
        let arguments =
            json!({ "conversation_id": conversation, "content": "look", "attachments": list });
        let said = self.call(bearer, "send_message", &arguments).await;
        said["id"].as_str().expect("an id").to_owned()
    }
}
