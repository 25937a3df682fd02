/*
 * Keys for the tests of auth and keyfile, and for nothing else: the private ones
 * stand here for everybody to read.  Made once with:
 *	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048
 *	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256
 *	openssl pkey -in KEY -pubout, -traditional, -aes256
 */
#ifndef TESTKEYS_H
#define TESTKEYS_H

#define KEY_RSA_PRIVATE \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDYml152Vi2F2Ty\n" \
	"uIhLLbBdApxxVcx8LlY0k3eFuxyjL7hXHXMPlX4RSdY2yCj37zTFvrXXWa6kxqx0\n" \
	"Lqr8kj56eNT19YnRN+IThz9wmW+M4j7huVXtVHxwG6eOnCXQKcNNbs/xd1vcnHru\n" \
	"mq7Bkx0Z6jqZBi4mI6a9sB3t2XRpPPz+yHGlTgvHXFhajMP+SjTgFvs6wyUvGg3K\n" \
	"uEympLhNu2ezgo6EG5oltAWEDwfls3buvDxgBUBm0l72ehTBj93AYaEL2dnMrQrB\n" \
	"PyAzhOYJ4hTzatp6TbEtaN0YPLoLPa6RZRkoU9be9IkCEQgAB3v+G73nmS6EJP/V\n" \
	"MY9sbxO1AgMBAAECggEAAp2E/vUbQVXAXNKDk2QwX6aCf16Yh9yMmSV0htcSh/xY\n" \
	"07AkV3CFfp7eJpXMRcK4LMmGefBVz7oiYdn5K6GJ9Fqcrm2+T5BQyfVELQ9V1RZW\n" \
	"jlcDYyE18ZYgM+CwKqfQSBskze0KU0sOPYxfgX+ci1d7q6UuJouV9ltLfYZnypSP\n" \
	"PRlMEDokk5ZL8KjLsP6cb83D8uq1Qe+yItYf9pTypopnrPJ7qZIrVMAReg3Zb/Ec\n" \
	"MilKdQiSmvOiv5/B4/ZZ4rFTu/Tmp7dykZIgKxSwY5DpayDEQBPGzNtzcGOXrjDG\n" \
	"7dJzTGHaRIf05+h9zEChRUcHGLNVRFs+zXkTWmkx4QKBgQD7RwaHAcS644I9usZ1\n" \
	"AXSBy7KzPoz/E6qhz5+BwdfWuDCATF8Op+Yq40WlGGfY5JVBuHnNGlnKlY/Ep6cF\n" \
	"hb2UMnQoeDpXRTFR/C52V3mdTBI2cO1gbDdxjzgFf03xOsmHTStdJfXzYZkHJMTR\n" \
	"0e6GgfZymhqG5pmksuDXprbkfQKBgQDcrIKN/mCd2X2h0WIBQzajsMIhfXrNVInN\n" \
	"XGP2cHA0vmMXZKYG+PTc4etarp1edFYU5aV0RNBiFmoYC94KuHInLEgdwFYfdU7v\n" \
	"Q4JTnQE6RmMsUI8l0UHjVeQZH6d21geJvqpNuEhgSsqntazp0Fa6+8mxbB1WQ8PR\n" \
	"9Io8QZKpmQKBgQCezFcSsQpr9WWUr1nGDgJcGKg5YNloRjx6gCTUsvU9jC+SlTEp\n" \
	"qO/rwK9903uldWfiHbxT40hFn9k4tZ72/Xs+kdgYz0pHZsHxhwax4TxJLQ8BesJ5\n" \
	"QkqTqKgFyVsvjTBZImq6NkhF5DL6ccE0vJAaTz25VSxYfpkwnZ88ie5hXQKBgQCM\n" \
	"nplrJmgm7krybNzI9S3CTYbHlJBGe9J8PJ2ukqPN2GyIoahy1P4kKwqw9Ihvgi7A\n" \
	"jj5KwvcPKj1dKWLK7hJACCXEX6YB0d0E9r37zhbULbpQqN0vOhOEbF037UXnoieX\n" \
	"jRo1AHOOeNp+2HRhYlOCP6SdHMntCK2mAvB7yUVOMQKBgFi304Xl1i+GJUiaI7cD\n" \
	"sDo8nKf28mkFivhjrAvLJ8elRwhvbgH9Ztn1vU+jnzs2PJL7MbASc/WRrxEHywjh\n" \
	"Ql/ysZOEyG61vxdDrKnpDAgXNNi4xtdQIcwUwUwoWH3NC3MX5MvGI4KxudTWlusZ\n" \
	"SMEK6PrEhrWJMeEsAKhbQTk0\n" \
	"-----END PRIVATE KEY-----\n"

#define KEY_RSA_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2JpdedlYthdk8riISy2w\n" \
	"XQKccVXMfC5WNJN3hbscoy+4Vx1zD5V+EUnWNsgo9+80xb6111mupMasdC6q/JI+\n" \
	"enjU9fWJ0TfiE4c/cJlvjOI+4blV7VR8cBunjpwl0CnDTW7P8Xdb3Jx67pquwZMd\n" \
	"Geo6mQYuJiOmvbAd7dl0aTz8/shxpU4Lx1xYWozD/ko04Bb7OsMlLxoNyrhMpqS4\n" \
	"Tbtns4KOhBuaJbQFhA8H5bN27rw8YAVAZtJe9noUwY/dwGGhC9nZzK0KwT8gM4Tm\n" \
	"CeIU82raek2xLWjdGDy6Cz2ukWUZKFPW3vSJAhEIAAd7/hu955kuhCT/1TGPbG8T\n" \
	"tQIDAQAB\n" \
	"-----END PUBLIC KEY-----\n"

#define KEY_RSA_OTHER_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAhc3FzzZ/n7EknspzePEz\n" \
	"1gjdSf4kxNs7lj7e/KqmD+NFhZD21h9UHLHqGO+OM/3yIFR7glhMiLTyIqvJSKvW\n" \
	"vE4reo/2/nyGq/uCJjSPKrzednGstKUZq0Jw8tXyR5bapLe3u0Mr1v5IW+I4rx08\n" \
	"KcsCH3Hr2jUQzRoYIY8M26phCizagcSfDdMdg71RVO1D430Cem6hvKpVWrHwIRKm\n" \
	"xOkHfd0fVDuOBZyS7RYa/NT/nOUrKAlDM52SSGtpbmJ3gsSldOCeSOuiwo+hokT+\n" \
	"NQ1aarKJshWMgjPYUNxsMTQiRuzaroRBMfJ31z9PfdWXk+d0KhxqnFj9Aky4xMRk\n" \
	"lwIDAQAB\n" \
	"-----END PUBLIC KEY-----\n"

#define KEY_RSA_1024_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDPgzQ6fboD6F6HEb1QkhVb+6Vr\n" \
	"lRX/kOj3RqAjXTg0U6yusnEp1qke4DWmU79BUwJoJRnkPzcUWJTVcy0MMFGnFdXm\n" \
	"JSTIjX1+Rj22jobuTfS0mI5Gdh/k7pYE2MdnSD6OtDgCCyXBtKi+YXzB4MxJWpJu\n" \
	"TNcw2tAeksWFXPapsQIDAQAB\n" \
	"-----END PUBLIC KEY-----\n"

#define KEY_EC_PRIVATE \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgq4u1pJ2btNwL55ux\n" \
	"1PhS4QybK2ib6lvTKpBk9fgFKJuhRANCAARHA+asjXiBxaU1Qj9+tAVuoZT5HwnA\n" \
	"ESCqyW/jVOd9E53pup2KbMljNvKNZGntdAVSFHrg8kfT2Fp4V4CI6Omo\n" \
	"-----END PRIVATE KEY-----\n"

#define KEY_EC_SEC1 \
	"-----BEGIN EC PRIVATE KEY-----\n" \
	"MHcCAQEEIKuLtaSdm7TcC+ebsdT4UuEMmytom+pb0yqQZPX4BSiboAoGCCqGSM49\n" \
	"AwEHoUQDQgAERwPmrI14gcWlNUI/frQFbqGU+R8JwBEgqslv41TnfROd6bqdimzJ\n" \
	"YzbyjWRp7XQFUhR64PJH09haeFeAiOjpqA==\n" \
	"-----END EC PRIVATE KEY-----\n"

#define KEY_EC_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERwPmrI14gcWlNUI/frQFbqGU+R8J\n" \
	"wBEgqslv41TnfROd6bqdimzJYzbyjWRp7XQFUhR64PJH09haeFeAiOjpqA==\n" \
	"-----END PUBLIC KEY-----\n"

#define KEY_EC_OTHER_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEiYuFGCd5OUrw4nuCri3inlQ9Z716\n" \
	"3eYbdr/PePgw8ZuAXDpGiNI+eK9X4qJyKiQACAYhF8aQrrNFt5GxghSoxA==\n" \
	"-----END PUBLIC KEY-----\n"

#define KEY_EC_P384_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEJ2P5oehNV+3AcvwtRBoPNcgNJM3i5Qez\n" \
	"X7W5/B7SK04SZkZJXm3s3r+FcIr8PNRNM0+R8ZrUVIMdASMvovBwu3KpSGLaFzec\n" \
	"bPFlul8+EgakWay00aGXq5pislXnvCbc\n" \
	"-----END PUBLIC KEY-----\n"

#define KEY_EC_ENCRYPTED \
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" \
	"MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhKtNxJecLr8gICCAAw\n" \
	"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJaDeOS8+OEK4FM5HJqVUpMEgZD7\n" \
	"WpXypKKj7lajWOBrquym2NIcZyDJ+R6GjHVHUUtAJG4r8uIfp1ebefG4SZffntB2\n" \
	"V6gc5xPt9+ldr7aif1qcLX2f95c7iLaEz53tCheo7tz29ytsxrCZRYGtIh/qnI06\n" \
	"o6USiRD6L6Qppb1Xdk2LNyrcYzm2ybM3QsMTETXX+gxU5lxrUYEq5D1GIhIq3Yc=\n" \
	"-----END ENCRYPTED PRIVATE KEY-----\n"

#endif
